"""Train one system with one seed, choose the epoch on the validation split, and evaluate once on the test split.

    python -m pipeline.train --dataset build/dataset.h5 --system tfn --config config/models/tfn.yaml \
        --override '{"batch_size": 16}' --seed 1 --threads 1 --output build/runs/tfn/1

The run folder holds metrics.json, predictions.csv (a row per clip: truth and prediction of every task), history.csv (a row
per epoch), model.safetensors, config.yaml (all values as run) and versions.json. The same seed, data, versions, device
and threads give the same bytes.

To add a system: a file in models/ with its `Config` and `System`, a line in models/__init__.py, a YAML file of values.
"""

import argparse
import dataclasses
import json
import math
import os
import platform
import random
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import save_file
from tqdm import tqdm

from models import SYSTEMS, load_system
from models.metrics import HIGH, LOW, NAMES, sims_metrics
from models.system import Config, System, build_config
from pipeline.data import Dataset, even_batches, read_dataset
from pipeline.io import replacing


def load_config(system: str, path: Path, override: str) -> Config:
    """Configuration of a system: the YAML file at `path`, single keys replaced by the JSON object `override`.

    Raises ValueError naming file and key for a key that is unknown, missing or of the wrong type.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    changes = json.loads(override)
    if not isinstance(values, dict) or not isinstance(changes, dict):
        raise ValueError(f"{path} and --override must each hold keys with values")
    try:
        return build_config(load_system(system).config_class, values | changes)
    except ValueError as error:
        where = f"{path} with override {override}" if changes else str(path)
        raise ValueError(f"{where}: {error}") from error


def make_reproducible(seed: int, threads: int) -> None:
    """Seed every generator and allow deterministic algorithms only."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS may add in another order each time
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def check_labels(name: str, system: System, dataset: Dataset) -> None:
    """Raise ValueError unless the train and valid splits have labels of every task that the system learns."""
    for mode in ("train", "valid"):
        labels = dataset.batch_labels(dataset.split(mode))
        for task in system.task_weights:
            if torch.isnan(labels[task]).all():
                column = "label" if task == "M" else f"label_{task}"
                raise ValueError(
                    f"{name} learns task {task}, but no clip of the {mode} split has a {column}: "
                    "fill it in in the manifest or leave the system out"
                )


def predict(system: System, dataset: Dataset, indices: np.ndarray) -> dict[str, torch.Tensor]:
    """Outputs of the clips at `indices` in evaluation mode: {task: Tensor [shape=(n,)]}."""
    system.eval()
    with torch.no_grad():
        outputs = [system(dataset.batch(chosen)) for chosen in even_batches(indices, system.config.batch_size)]
        return {task: torch.cat([output[task] for output in outputs]) for task in system.task_weights}


def train_epoch(system: System, optimizer: torch.optim.Optimizer, dataset: Dataset, order: np.ndarray) -> float:
    """One pass over the clips in `order`; returns the mean training loss."""
    system.train()
    config = system.config
    batches = even_batches(order, config.batch_size)
    total = 0.0
    for start in range(0, len(batches), config.accumulate):
        step = batches[start : start + config.accumulate]
        optimizer.zero_grad()
        for chosen in step:
            loss = system.loss(system(dataset.batch(chosen)), dataset.batch_labels(chosen))
            (loss / len(step)).backward()
            total += loss.item() * len(chosen)
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(system.parameters(), config.gradient_clip)
        optimizer.step()
    return total / len(order)


def fit(system: System, dataset: Dataset, seed: int) -> tuple[list[dict], int]:
    """Train until the validation loss has not fallen for `early_stop` epochs, and keep the best epoch's weights.

    Returns
    -------
    history : list of dict
        epoch, train_loss, valid_loss of every epoch.
    best_epoch : int
        The epoch whose weights the system has now.

    Raises
    ------
    ValueError
        If the validation loss is never finite.
    """
    config = system.config
    optimizer = torch.optim.Adam(system.parameter_groups(), lr=config.learning_rate, fused=True)
    shuffle = np.random.default_rng(seed)
    train, valid = dataset.split("train"), dataset.split("valid")
    valid_labels = dataset.batch_labels(valid)
    history, best_epoch, best_loss, best_state = [], 0, math.inf, {}
    progress = tqdm(range(1, config.max_epochs + 1), desc="train", unit="epoch")
    for epoch in progress:
        train_loss = train_epoch(system, optimizer, dataset, shuffle.permutation(train))
        valid_loss = system.loss(predict(system, dataset, valid), valid_labels).item()
        history.append({"epoch": epoch, "train_loss": train_loss, "valid_loss": valid_loss})
        progress.set_postfix(train=f"{train_loss:.3f}", valid=f"{valid_loss:.3f}", best=best_epoch)
        if valid_loss < best_loss - 1e-6:
            best_epoch, best_loss = epoch, valid_loss
            best_state = {name: tensor.clone() for name, tensor in system.state_dict().items()}
        if epoch - best_epoch >= config.early_stop:
            progress.close()
            break
    if not best_state:
        raise ValueError("the validation loss was never finite: lower learning_rate, or set gradient_clip")
    system.load_state_dict(best_state)
    return history, best_epoch


def prediction_table(system: System, dataset: Dataset) -> pd.DataFrame:
    """A row per clip: video_id, clip_id, mode, truth_* of all tasks, prediction_* of the system's tasks."""
    columns = {"video_id": dataset.video_id, "clip_id": dataset.clip_id, "mode": dataset.mode}
    columns |= {f"truth_{task}": labels.cpu().numpy() for task, labels in dataset.labels.items()}
    predictions = predict(system, dataset, np.arange(len(dataset.mode)))
    columns |= {f"prediction_{task}": values.cpu().numpy() for task, values in predictions.items()}
    return pd.DataFrame(columns)


def split_metrics(table: pd.DataFrame, mode: str, tasks: list[str]) -> dict[str, dict]:
    """Metrics per task over the labelled clips of a split; a task without labels there has none."""
    rows = table[table["mode"] == mode]
    return {
        task: sims_metrics(rows[f"truth_{task}"].to_numpy(), rows[f"prediction_{task}"].to_numpy())
        for task in tasks
        if rows[f"truth_{task}"].notna().any()
    }


def write_run(folder: Path, name: str, seed: int, system: System, dataset: Dataset, history: list, best_epoch: int) -> dict:
    """Write the run folder, all but versions.json, and return the metrics."""
    folder.mkdir()
    table = prediction_table(system, dataset)
    tasks = list(system.task_weights)
    metrics = {
        "system": name,
        "seed": seed,
        "corpus": dataset.corpus,
        "best_epoch": best_epoch,
        "parameters": sum(parameter.numel() for parameter in system.parameters()),
        "valid": split_metrics(table, "valid", tasks),
        "test": split_metrics(table, "test", tasks),
    }
    write_json(folder / "metrics.json", metrics)
    table.to_csv(folder / "predictions.csv", index=False, float_format="%.6f")
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False, float_format="%.6f")
    save_file({key: tensor.cpu().contiguous() for key, tensor in system.state_dict().items()}, folder / "model.safetensors")
    values = {"system": name, "seed": seed, **dataclasses.asdict(system.config)}
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return metrics


def write_json(path: Path, values: dict) -> None:
    """Write JSON; an undefined number (NaN) becomes null, since JSON has no name for it."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    path.write_text(json.dumps(plain(values), indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def run(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.system, arguments.config, arguments.override)
    make_reproducible(arguments.seed, arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = read_dataset(arguments.dataset, device)
    if dataset.label_range != (LOW, HIGH):
        raise ValueError(f"{arguments.dataset}: labels in {dataset.label_range}; the metrics are made for {(LOW, HIGH)}")
    for mode in ("train", "valid", "test"):
        if not len(dataset.split(mode)):
            raise ValueError(f"{arguments.dataset}: no clip has mode '{mode}'; give some clips that mode in the manifest")
    system = load_system(arguments.system)(config, dataset.widths, dataset.longest).to(device)
    check_labels(arguments.system, system, dataset)
    history, best_epoch = fit(system, dataset, arguments.seed)
    with replacing(arguments.output) as folder:
        metrics = write_run(folder, arguments.system, arguments.seed, system, dataset, history, best_epoch)
        versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
        device_name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        write_json(folder / "versions.json", versions | {"device": device_name, "threads": arguments.threads})
    for task, values in metrics["test"].items():
        scores = ", ".join(f"{metric} {value:.3f}" for metric, value in values.items() if metric in NAMES)
        print(f"{arguments.system}, seed {arguments.seed}, epoch {best_epoch}, test {task}: {scores}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--system", required=True, choices=list(SYSTEMS))
    parser.add_argument("--config", type=Path, required=True, help="YAML file with the system's values")
    parser.add_argument("--override", default="{}", help="JSON object of values that replace those of the YAML file")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="run folder, replaced if it exists")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
