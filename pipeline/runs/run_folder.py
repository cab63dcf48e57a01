"""Run folders as `pipeline.train` writes them, and trained systems made of them again.

A run folder holds metrics.json, predictions.csv (a row per clip: truth and prediction of every task), history.csv (a row
per epoch, or per setting tried), model.safetensors, config.yaml (all values as run), versions.json, and for a system that
makes labels for itself generated_labels.csv (a row per epoch and clip of the train split).
"""

import dataclasses
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import load_file, save
from torch import nn

from models import load_system
from models.metrics import metrics_for
from models.system import System, build_config
from models.text_encoder import TextEncoder
from pipeline.base.command import UserError
from pipeline.runs.data import Dataset, read_dataset


@dataclass
class Run:
    """What training found.

    predictions : {task: [shape=(clips of the data set,)]}; NaN for a clip that was not to be looked at.
    weights : what was learned, by name. parameters : how many numbers that are.
    generated_labels : (epoch, {task: [shape=(clips of train,)]}) of each epoch.
    """

    system: str
    seed: int
    config: object
    best_epoch: int
    history: list[dict]
    predictions: dict[str, np.ndarray]
    weights: dict[str, torch.Tensor]
    parameters: int
    generated_labels: list[tuple[int, dict[str, torch.Tensor]]]


def write_run(folder: Path, run: Run, dataset: Dataset, device_name: str, threads: int) -> dict:
    """Write a run folder and return the metrics; see the module docstring."""
    folder.mkdir()
    table = prediction_table(dataset, run.predictions)
    metrics = {
        "system": run.system,
        "seed": run.seed,
        "corpus": dataset.corpus,
        "best_epoch": run.best_epoch,
        "parameters": run.parameters,
        "valid": split_metrics(table, "valid", list(run.predictions), dataset.label_range),
        "test": split_metrics(table, "test", list(run.predictions), dataset.label_range),
    }
    _write_json(folder / "metrics.json", metrics)
    table.to_csv(folder / "predictions.csv", index=False, float_format="%.6f")
    pd.DataFrame(run.history).to_csv(folder / "history.csv", index=False, float_format="%.6f")
    (folder / "model.safetensors").write_bytes(save(run.weights))
    values = {"system": run.system, "seed": run.seed, **dataclasses.asdict(run.config)}
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    _write_json(folder / "versions.json", versions | {"device": device_name, "threads": threads})
    if run.generated_labels:
        train = dataset.split("train")
        clips = {"video_id": np.array(dataset.video_id)[train], "clip_id": np.array(dataset.clip_id)[train]}
        tables = [
            pd.DataFrame({"epoch": epoch, **clips, **{f"label_{task}": made.numpy() for task, made in labels.items()}})
            for epoch, labels in run.generated_labels
        ]
        pd.concat(tables).to_csv(folder / "generated_labels.csv", index=False, float_format="%.6f")
    return metrics


def prediction_table(dataset: Dataset, predictions: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row per clip: video_id, clip_id, mode, truth_* of all tasks, prediction_* of the system's tasks."""
    columns = {"video_id": dataset.video_id, "clip_id": dataset.clip_id, "mode": dataset.mode}
    columns |= {f"truth_{task}": labels.cpu().numpy() for task, labels in dataset.labels.items()}
    return pd.DataFrame(columns | {f"prediction_{task}": values for task, values in predictions.items()})


def split_metrics(table: pd.DataFrame, mode: str, tasks: list[str], label_range: tuple[float, float]) -> dict[str, dict]:
    """Metrics per task over the labelled clips of a split; a task without labels or predictions there has none."""
    metrics, _ = metrics_for(label_range)
    rows = table[table["mode"] == mode]
    return {
        task: metrics(rows[f"truth_{task}"].to_numpy(), rows[f"prediction_{task}"].to_numpy())
        for task in tasks
        if (rows[f"truth_{task}"].notna() & rows[f"prediction_{task}"].notna()).any()
    }


def _write_json(path: Path, values: dict) -> None:
    """Write JSON; an undefined number (NaN) becomes null, since JSON has no name for it."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    path.write_text(json.dumps(plain(values), indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def load_encoder(name: str) -> nn.Module:
    """The text encoder that a system with `reads_tokens` takes over: a local folder, or a model of the hub."""
    from features.text import load_model  # transformers takes seconds to import, and most systems do without

    return load_model(name)


def make_system(system_class: type[System], config: object, dataset: Dataset, encoder: nn.Module | None) -> System:
    """A system for the data set's widths and labels.

    encoder : the transformers model that a system with `reads_tokens` takes over.
    """
    own = (TextEncoder(encoder, config),) if system_class.reads_tokens else ()
    system = system_class(config, dataset.widths, dataset.longest, *own)
    system.label_range = dataset.label_range
    return system


def learned_state(system: System) -> dict[str, torch.Tensor]:
    """All of a system's state but what is frozen: that is the pre-trained encoder's and need not be kept again."""
    frozen = {name for name, parameter in system.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in system.state_dict().items() if name not in frozen}


def learned_weights(system: System) -> dict[str, torch.Tensor]:
    """`learned_state` as files hold it."""
    return {name: tensor.cpu().contiguous() for name, tensor in learned_state(system).items()}


def load_run(folder: Path, dataset_path: Path, encoder: str, all_frames: bool = False) -> tuple[System, Dataset]:
    """A trained system in evaluation mode, and the data set as it reads it.

    Parameters
    ----------
    folder : Path
        A run folder of a system with gradient training.
    dataset_path : Path
        The dataset.h5 it was trained on.
    encoder : str
        Name or folder of the text encoder; only a system that fine-tunes it needs one.
    all_frames : bool
        Read all frames even of modalities of which the system uses the mean alone.
    """
    values = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    system_class = load_system(values.pop("system"))
    values.pop("seed")
    config = build_config(system_class.config_class, values)
    means = () if all_frames else system_class.means_suffice(config)
    dataset = read_dataset(dataset_path, torch.device("cpu"), means, system_class.reads_tokens, in_memory=all_frames)
    system = make_system(system_class, config, dataset, load_encoder(encoder) if system_class.reads_tokens else None)
    weights = load_file(folder / "model.safetensors")
    unknown = set(weights) ^ set(learned_weights(system))
    if unknown:
        raise UserError(f"{folder}: weights that do not fit models/ as it is now ({min(unknown)}): train again")
    system.load_state_dict(weights, strict=False)
    return system.eval(), dataset
