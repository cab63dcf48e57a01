"""Whether two systems differ: paired bootstrap over the test clips, for every two runs of a table.

    python -m pipeline.results.significance --table config/tables/systems.yaml --runs build/runs --seeds 1 12 123 1234 12345 \
        --corpus 'synthetic demo corpus' --output results/significance.csv

The error of a clip is averaged over the seeds of a run. Test clips are then drawn again with replacement, the same for all
runs (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): of each pair stand there the difference first - second
in MAE and in Acc-2 (x 100), its 95 % percentile interval, the two-sided p of no difference, and p as corrected by Holm's
method (1979) for all pairs of that metric.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from models.metrics import CUTS_2, HIGH, LOW, classes
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.runs.read_back import read_predictions
from pipeline.results.table_file import TableFile, read_table_file

METRICS = ("mae", "acc2")
# The smallest p is 2 / (RESAMPLES + 1): small enough to be seen after a correction for 300 pairs.
RESAMPLES = 100_000
AT_ONCE = 5_000


def test_clips(predictions: pd.DataFrame) -> pd.DataFrame:
    """The labelled clips of the test split: video_id, clip_id, truth_M, prediction_M."""
    rows = predictions[(predictions["mode"] == "test") & predictions["truth_M"].notna()]
    return rows[["video_id", "clip_id", "truth_M", "prediction_M"]].reset_index(drop=True)


def clip_scores(truth: np.ndarray, prediction: np.ndarray, label_range: tuple[float, float]) -> np.ndarray:
    """Per clip what MAE and Acc-2 are the means of (models/metrics.py): [shape=(clips,)] each -> [shape=(2, clips)].

    Acc-2 of CH-SIMS, or that of MOSI and MOSEI which takes all clips (negative against non-negative).
    """
    if label_range == (LOW, HIGH):
        prediction = np.clip(prediction, LOW, HIGH)
        right = classes(truth, CUTS_2) == classes(prediction, CUTS_2)
    else:
        right = (np.round(truth, 6) >= 0) == (np.round(prediction, 6) >= 0)
    return np.stack([np.abs(truth - prediction), right])


def run_scores(runs: Path, run: str, seeds: list[int], label_range: tuple[float, float]) -> tuple[np.ndarray, pd.DataFrame]:
    """`clip_scores` of a run, mean over its seeds: [shape=(2, clips)]; and the clips: video_id, clip_id, truth_M."""
    scores, first = [], None
    for seed in seeds:
        rows = test_clips(read_predictions(runs, run, seed))
        clips = rows[["video_id", "clip_id", "truth_M"]]
        if first is not None and not clips.equals(first):
            raise UserError(f"{runs}, run {run}: seed {seed} holds other test clips than seed {seeds[0]}: train the run again")
        first = clips
        scores.append(clip_scores(rows["truth_M"].to_numpy(), rows["prediction_M"].to_numpy(), label_range))
    return np.mean(scores, axis=0), first


def resampled_means(scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Means over resampled clips: [shape=(runs, clips)] -> [shape=(RESAMPLES, runs)]."""
    random = np.random.default_rng(seed)
    clips = scores.shape[1]
    # How often each clip is drawn is all that a resample is.
    even = np.full(clips, 1 / clips)
    parts = [random.multinomial(clips, even, AT_ONCE) @ scores.T for _ in range(RESAMPLES // AT_ONCE)]
    return np.concatenate(parts) / clips


def two_sided_p(differences: np.ndarray) -> float:
    """Share of resampled differences on the rarer side of 0, doubled; never 0, since that many draws cannot show it."""
    rarer = min(np.sum(differences <= 0), np.sum(differences >= 0))
    return float(min(1.0, 2 * (rarer + 1) / (len(differences) + 1)))


def holm(values: np.ndarray) -> np.ndarray:
    """Holm's correction of p values [shape=(n,)] for their number; same order."""
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def make_table(file: TableFile, runs: Path, seeds: list[int], label_range: tuple[float, float]) -> pd.DataFrame:
    """A row per metric and pair of rows of the table, in its order.

    Raises UserError if two runs do not hold the same test clips in the same order.
    """
    of_runs, first = [], None
    for run in file.runs:
        scores, clips = run_scores(runs, run, seeds, label_range)
        if first is not None and not clips.equals(first):
            raise UserError(
                f"{runs}: runs {file.runs[0]} and {run} hold different test clips or labels: train both on one data set"
            )
        first = clips
        of_runs.append(scores)
    if len(first) < 2:
        raise UserError(f"{runs}: {len(first)} labelled test clips; a comparison needs two: give some mode 'test' and a label")
    of_runs = 100 * np.stack(of_runs)
    tables = []
    for place, metric in enumerate(METRICS):
        tables.append(compare(of_runs[:, place], [row.label for row in file.rows]).assign(metric=metric))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "metric", table.pop("metric"))
    return table.assign(n_clips=len(first), n_seeds=len(seeds), n_resamples=RESAMPLES)


def compare(scores: np.ndarray, labels: list[str]) -> pd.DataFrame:
    """Every two runs of one metric: `scores` [shape=(runs, clips)]."""
    means, resampled = scores.mean(1), resampled_means(scores)
    rows = []
    for i, j in combinations(range(len(labels)), 2):
        differences = resampled[:, i] - resampled[:, j]
        low, high = np.quantile(differences, [0.025, 0.975])
        row = {"first": labels[i], "second": labels[j], "mean_first": means[i], "mean_second": means[j]}
        rows.append(row | {"difference": means[i] - means[j], "low": low, "high": high, "p": two_sided_p(differences)})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="table whose runs are compared: config/tables/<name>.yaml")
    parser.add_argument("--runs", type=Path, required=True, help="folder with <run>/<seed>/")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in the table")
    parser.add_argument("--label-range", nargs=2, type=float, default=(-1.0, 1.0), metavar=("LOW", "HIGH"))
    parser.add_argument("--without", nargs="+", default=[], help="runs that learn labels which the corpus has not")
    parser.add_argument("--provenance", default="", help="hash of what made the results: `fingerprint` of their provenance.json")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    label_range = tuple(arguments.label_range)
    file = read_table_file(arguments.table).without(arguments.without)
    table = make_table(file, arguments.runs, arguments.seeds, label_range)
    with replacing(arguments.output) as temporary:
        table = table.assign(corpus=arguments.corpus, provenance=arguments.provenance)
        table.to_csv(temporary, index=False, float_format="%.6f", na_rep="NaN")


if __name__ == "__main__":
    run_command(main)
