"""Training curves: what counts as diverged, and the picture."""

import json
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.results import curves

NAN, INFINITE = float("nan"), float("inf")


def history(train, valid):
    return pd.DataFrame({"epoch": range(1, len(valid) + 1), "train_loss": train, "valid_loss": valid})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (history([0.5, 0.4, 0.3], [0.5, 0.4, 0.45]), False),
        (history([0.5, 0.4, 0.3], [NAN, 0.4, 0.45]), False),  # an epoch of pre-training is not looked at
        (history([0.5, 0.4, 0.3], [0.5, NAN, 0.45]), True),
        (history([0.5, 0.4, INFINITE], [0.5, 0.4, 0.45]), True),
        (history([0.5, 0.4, 0.3], [0.5, 0.2, 0.45]), True),
        (history([NAN], [NAN]), True),
        (pd.DataFrame({"penalty": [1.0, 10.0], "valid_loss": [0.2, 0.9]}), False),
        (pd.DataFrame({"penalty": [1.0, 10.0], "valid_loss": [0.2, NAN]}), True),
    ],
)
def test_what_counts_as_diverged(table, expected):
    assert curves.diverged(table) == expected


def reddish(path):
    """Part of the picture that is crimson."""
    blue, green, red = np.moveaxis(cv2.imread(str(path)).astype(int), 2, 0)
    return float(np.mean((red > 180) & (green < 90) & (blue < 110)))


def test_a_diverged_seed_is_red(monkeypatch, tmp_path):
    tables = {1: history([0.5, 0.4, 0.3], [0.5, 0.4, 0.45]), 12: history([0.5, 0.4, 0.3], [0.5, 0.2, 0.6])}
    for seed, table in tables.items():
        folder = tmp_path / "runs" / "lf_dnn" / str(seed)
        folder.mkdir(parents=True)
        table.to_csv(folder / "history.csv", index=False)
        (folder / "metrics.json").write_text(json.dumps({"best_epoch": 2}), encoding="utf-8")

    def draw(name, *seeds):
        output = tmp_path / "图 1" / name
        arguments = ["curves", "--runs", tmp_path / "runs", "--run", "lf_dnn", "--corpus", "test", "--output", output]
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in [*arguments, "--seeds", *seeds]])
        curves.main()
        return output

    assert reddish(draw("good.png", 1)) == 0 and reddish(draw("both.png", 1, 12)) > 0.001
    assert draw("again.png", 1, 12).read_bytes() == draw("both.png", 1, 12).read_bytes()
