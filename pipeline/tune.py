"""Choose values of a system on the validation split: rank its trials, name the best.

    python -m pipeline.tune --search config/search/tfn.yaml --folder build/trials/tfn --trials 0 7 12 --seeds 1 \
        --corpus 'synthetic demo corpus' --output results/tuned/tfn.yaml --ranking results/tuned/tfn.csv

A search file gives a list of values for some keys of a system's configuration; trial i is the i-th of all their
combinations, the last key changing fastest. It is trained as any run, but without a look at the test split. Trials are
ranked by the validation loss of their best epoch, mean over the seeds; so a search file must not change the loss itself.
The `values` of the result can be put under `systems:` in the corpus's config file as they are.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.runs.read_back import read_metrics


def read_search(path: str | Path) -> dict[str, list]:
    """A search file: {key: the values to try}. Raises UserError naming file and key unless each has a list of some."""
    search = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(search, dict) or not search:
        raise UserError(f"{path}: give one or more keys, each with a list of values")
    for key, values in search.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"{path}: key '{key}' needs a list of one or more values")
    return search


def grid_size(search: dict[str, list]) -> int:
    """Number of all combinations."""
    return math.prod(len(values) for values in search.values())


def trial_values(search: dict[str, list], trial: int) -> dict:
    """The combination with number `trial`, counted from 0, the last key changing fastest.

    Raises UserError if there is no such combination.
    """
    if not 0 <= trial < grid_size(search):
        raise UserError(f"no trial {trial}: there are {grid_size(search)} combinations, counted from 0")
    values = {}
    for key in reversed(search):
        trial, place = divmod(trial, len(search[key]))
        values[key] = search[key][place]
    return {key: values[key] for key in search}


def chosen_trials(name: str, search: dict[str, list], method: str, count: int) -> list[int]:
    """Numbers of the trials to run, ascending: all of them ('grid'), or `count` of them ('random') by the run's name.

    A larger `count` adds trials to those of a smaller one.
    """
    size = grid_size(search)
    if method == "grid":
        return list(range(size))
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return sorted(np.random.default_rng(seed).permutation(size)[:count].tolist())


def valid_loss(folder: Path, trial: int, seed: int) -> float:
    """Validation loss of the best epoch (or setting) of a trial."""
    history = pd.read_csv(folder / str(trial) / str(seed) / "history.csv")
    return float(history["valid_loss"].iloc[read_metrics(folder, str(trial), seed)["best_epoch"] - 1])


def rank(search: dict[str, list], folder: Path, trials: list[int], seeds: list[int]) -> pd.DataFrame:
    """A row per trial, the best first; of equal ones the lower number first.

    Raises UserError if a trial has seen the test split.
    """
    rows = []
    for trial in trials:
        metrics = [read_metrics(folder, str(trial), seed) for seed in seeds]
        if any(found["test"] for found in metrics):
            raise UserError(f"{folder}/{trial} was scored on the test split: delete it and run again")
        losses = np.array([valid_loss(folder, trial, seed) for seed in seeds])
        row = {"trial": trial, "valid_loss_mean": losses.mean(), "n_seeds": len(seeds)}
        row["valid_loss_std"] = losses.std(ddof=1) if len(seeds) > 1 else np.nan
        row["valid_mae_mean"] = 100 * np.mean([found["valid"]["M"]["mae"] for found in metrics])
        rows.append(row | {key: json.dumps(value) for key, value in trial_values(search, trial).items()})
    columns = ["trial", "valid_loss_mean", "valid_loss_std", "valid_mae_mean", *search, "n_seeds"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["valid_loss_mean", "trial"], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", type=Path, required=True, help="config/search/<run>.yaml")
    parser.add_argument("--folder", type=Path, required=True, help="folder with <trial>/<seed>/")
    parser.add_argument("--trials", nargs="+", type=int, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in the results")
    parser.add_argument("--output", type=Path, required=True, help="YAML file of the best trial")
    parser.add_argument("--ranking", type=Path, required=True, help="CSV file of all trials")
    arguments = parser.parse_args()
    search = read_search(arguments.search)
    table = rank(search, arguments.folder, arguments.trials, arguments.seeds)
    best = table.iloc[0]
    result = {
        "run": arguments.search.stem,
        "corpus": arguments.corpus,
        "trials": len(table),
        "combinations": grid_size(search),
        "seeds": arguments.seeds,
        "trial": int(best["trial"]),
        "valid_loss": round(float(best["valid_loss_mean"]), 6),
        "values": trial_values(search, int(best["trial"])),
    }
    with replacing(arguments.ranking) as temporary:
        table.assign(corpus=arguments.corpus).to_csv(temporary, index=False, float_format="%.6f", na_rep="NaN")
    with replacing(arguments.output) as temporary:
        text = yaml.safe_dump(result, sort_keys=False, allow_unicode=True)
        temporary.write_text("# Chosen on the validation split alone.\n" + text, encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
