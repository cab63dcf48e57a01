"""What a single modality tells of each label: Corr of the unimodal systems with M, T, A and V on the test split.

    python -m pipeline.results.unimodal --runs build/runs --seeds 1 12 123 1234 12345 --output results/unimodal.csv

A row per system and label: corr, its plain correlation with the label, and partial_corr, that with the label once the
system's own label is taken out of both: near 0 if the modality shows nothing of that label beyond what the labels share.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from models.metrics import correlation, partial_correlation
from models.system import TASKS
from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.runs.read_back import read_metrics, read_predictions, read_run_config

SYSTEMS = ("unimodal_text", "unimodal_audio", "unimodal_vision")


def label_correlations(predictions: pd.DataFrame, own: str) -> dict[str, tuple[float, float]]:
    """{label: (corr, partial_corr)} over the test clips of one run that learned the label `own`; NaN where undefined."""
    test = predictions[predictions["mode"] == "test"].dropna(subset=[f"truth_{own}"])
    result = {}
    for label in TASKS:
        rows = test.dropna(subset=[f"truth_{label}"])
        columns = [f"prediction_{own}", f"truth_{label}", f"truth_{own}"]
        prediction, truth, given = (rows[column].to_numpy() for column in columns)
        if len(rows) < 2:
            result[label] = (np.nan, np.nan)
        elif label == own:
            result[label] = (correlation(prediction, truth), np.nan)
        else:
            result[label] = (correlation(prediction, truth), partial_correlation(prediction, truth, given))
    return result


def make_table(runs: Path, seeds: list[int]) -> pd.DataFrame:
    """A row per system and label: mean and sample standard deviation over the seeds."""
    rows = []
    for system in SYSTEMS:
        config = read_run_config(runs, system, seeds[0])
        corpus = read_metrics(runs, system, seeds[0])["corpus"]
        of_seeds = [label_correlations(read_predictions(runs, system, seed), config["task"]) for seed in seeds]
        for label in TASKS:
            values = pd.DataFrame([result[label] for result in of_seeds], columns=["corr", "partial_corr"])
            row = {"system": system, "modality": config["modality"], "own_label": config["task"], "label": label}
            for name in values:
                row |= {f"{name}_mean": values[name].mean(skipna=False), f"{name}_std": values[name].std(skipna=False)}
            rows.append(row | {"n_seeds": len(seeds), "corpus": corpus})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder with <system>/<seed>/")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--provenance", default="", help="hash of what made the results: `fingerprint` of their provenance.json")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    table = make_table(arguments.runs, arguments.seeds)
    with replacing(arguments.output) as temporary:
        table.assign(provenance=arguments.provenance).to_csv(temporary, index=False, float_format="%.4f", na_rep="NaN")


if __name__ == "__main__":
    run_command(main)
