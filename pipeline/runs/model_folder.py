"""A trained system in a folder that is complete in itself, and works on a machine that has nothing of the corpus.

    README.md                 model card, in the hub's format (pipeline/runs/model_card.py)
    model.json                the fields of `Model`
    statistics.safetensors    <modality>.mean, <modality>.std of the train split
    seed_<seed>.safetensors   what was learned with each seed; what is frozen is the text encoder's

It holds numbers and names alone: nothing in it can run code. The text encoder is not in it, its name and sha256 are.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from features.hashing import sha256_of
from models import SYSTEMS
from models.system import MODALITIES
from pipeline.base.command import UserError
from pipeline.base.store import StoreAttributes

FORMAT = 1
DESCRIPTION, STATISTICS = "model.json", "statistics.safetensors"
RATE_TOLERANCE = 1.01  # largest ratio of two frame rates that count as one


@dataclass(frozen=True)
class Model:
    """What is known of a trained system.

    name : of the run, a system or a variant of one. values : its configuration. longest : frames of the longest clip of the
    corpus, per modality. features : {modality: how its feature files were made}; empty if the corpus was a published feature
    file. pooling : frames of those files behind each frame. metrics : {seed: {split: {task: {metric: value}}}}.
    versions : of what trained it. sha256 : {file: digest} of the other files of the folder but the card.
    """

    name: str
    system: str
    values: dict
    seeds: list[int]
    corpus: str
    label_range: tuple[float, float]
    longest: dict[str, int]
    features: dict[str, StoreAttributes]
    pooling: dict[str, int]
    metrics: dict[str, dict]
    versions: dict[str, object]
    sha256: dict[str, str]

    @property
    def encoder(self) -> tuple[str, str]:
        """Name of the text encoder and sha256 of its weights."""
        return next(iter(self.features["text"].weights.items()))


def weights_file(seed: int) -> str:
    """Name of the file of one seed's weights."""
    return f"seed_{seed}.safetensors"


def write_description(folder: Path, model: Model) -> None:
    """Write model.json."""
    text = json.dumps({"format": FORMAT, **asdict(model)}, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_model(folder: Path) -> Model:
    """Read model.json of a model folder, and check that the files beside it are those that belong to it.

    Raises
    ------
    UserError
        If it is no such folder, of another format, of an unknown system, or a file of it is missing or another.
    """
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise UserError(f"{folder}: a model of another format than {FORMAT}; pack it anew with this version")
        content["features"] = {name: StoreAttributes(**attributes) for name, attributes in content["features"].items()}
        content["label_range"] = tuple(content["label_range"])
        model = Model(**content)
        seeds = [int(seed) for seed in model.seeds]  # they name files
        if (model.features and set(model.features) != set(MODALITIES)) or not seeds:
            raise UserError(f"{folder}: {DESCRIPTION} lacks seeds or a modality; pack the model anew")
    except UserError:
        raise
    except (NotADirectoryError, FileNotFoundError) as error:
        raise UserError(f"{folder}: it has no {DESCRIPTION}; give a folder that `python -m pipeline.pack` has made") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: {DESCRIPTION} cannot be read ({error}); pack the model anew") from error
    if model.system not in SYSTEMS:
        raise UserError(f"{folder}: system '{model.system}' is unknown here; there are {', '.join(SYSTEMS)}")
    for name in (STATISTICS, *map(weights_file, seeds)):
        if not (folder / name).is_file() or sha256_of(folder / name) != model.sha256.get(name):
            raise UserError(f"{folder}: {name} is missing or not the one that was packed; copy the folder again")
    return model


def read_statistics(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation of the train split: {modality: two np.ndarray [shape=(columns,)]}."""
    arrays = load_arrays(folder / STATISTICS)
    return {name: (arrays[f"{name}.mean"], arrays[f"{name}.std"]) for name in MODALITIES}


def read_weights(folder: Path, seed: int) -> dict[str, torch.Tensor]:
    """What was learned with a seed. Raises UserError if it cannot be read."""
    try:
        return load_file(folder / weights_file(seed))
    except SafetensorError as error:
        raise UserError(f"{folder}: {weights_file(seed)} cannot be read ({error}); copy the folder again") from error


def check_features(model: Model, modality: str, attributes: StoreAttributes, where: str) -> None:
    """Refuse features that were not made as those the model was trained with.

    Parameters
    ----------
    model : Model
    modality : 'text', 'audio' or 'vision'
    attributes : StoreAttributes
        What the feature file says of itself.
    where : str
        What the features are of, for the message.

    Raises
    ------
    UserError
        Naming the first setting, column or file of weights that differs, with both values.
    """
    if not model.features:
        raise UserError(
            f"{model.name} was trained on a published feature file: features of the same making cannot be extracted here; "
            "train it on raw videos"
        )
    expected = model.features[modality]

    def refuse(what: str, here: object, there: object) -> None:
        raise UserError(
            f"{where}: {modality} features with {what} {here!r}, but {model.name} was trained with {there!r}: "
            "extract them with the settings of the model, or take a model that was trained with these"
        )

    if attributes.extractor != expected.extractor:
        refuse("extractor", attributes.extractor, expected.extractor)
    for name in sorted({*attributes.settings, *expected.settings}):
        if attributes.settings.get(name) != expected.settings.get(name):
            refuse(f"setting {name}", attributes.settings.get(name), expected.settings.get(name))
    for name in sorted({*attributes.weights, *expected.weights}):
        if attributes.weights.get(name) != expected.weights.get(name):
            refuse(f"sha256 of weights {name}", attributes.weights.get(name), expected.weights.get(name))
    if attributes.columns != expected.columns:
        if len(attributes.columns) != len(expected.columns):
            refuse("number of columns", len(attributes.columns), len(expected.columns))
        place = next(i for i, name in enumerate(attributes.columns) if name != expected.columns[i])
        refuse(f"column {place}", attributes.columns[place], expected.columns[place])
    rates = attributes.frame_rate, expected.frame_rate
    if max(rates) > RATE_TOLERANCE * min(rates):
        refuse("frame_rate", *rates)


def other_versions(model: Model, modality: str, attributes: StoreAttributes) -> list[str]:
    """Packages whose version is another than when the model's features were made; that is no fault, but worth a line."""
    expected = model.features[modality].versions
    return [
        f"{modality}: {name} {version}, the model's features were made with {expected[name]}"
        for name, version in attributes.versions.items()
        if name in expected and expected[name] != version
    ]
