"""The paired comparison of systems: known answers, and what must not be compared."""

import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml

from models.metrics import metrics_for
from pipeline.base.command import UserError
from pipeline.results import significance

SEEDS = [1, 12]


def write_predictions(runs, run, seed, truth, prediction, first_clip=0):
    folder = runs / run / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clips = [f"{i:04d}" for i in range(first_clip, first_clip + len(truth))]
    rows = pd.DataFrame({"video_id": "影片", "clip_id": clips, "mode": "test", "truth_M": truth, "prediction_M": prediction})
    train = rows.iloc[:1].assign(mode="train", clip_id="train")
    pd.concat([train, rows]).to_csv(folder / "predictions.csv", index=False)


def compare(monkeypatch, folder, names):
    rows = [{"label": name.upper(), "run": name} for name in names]
    table = {"caption": "c", "source": "s", "metrics": ["mae"], "rows": rows}
    (folder / "table.yaml").write_text(yaml.safe_dump(table))
    arguments = ["significance", "--table", folder / "table.yaml", "--runs", folder / "runs", "--seeds", *SEEDS]
    arguments += ["--corpus", "a corpus", "--output", folder / "s.csv"]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    significance.main()
    return pd.read_csv(folder / "s.csv").set_index(["metric", "first", "second"])


def test_a_better_system_is_found_and_an_equal_one_is_not(monkeypatch, tmp_path):
    random = np.random.default_rng(0)
    truth = np.clip(random.normal(size=200) * 0.5, -1, 1)
    for seed in SEEDS:
        for name, noise in (("good", 0.1), ("bad", 0.9), ("same", 0.9)):
            prediction = truth + noise * np.random.default_rng(seed if noise == 0.9 else seed + 5).normal(size=200)
            write_predictions(tmp_path / "runs", name, seed, truth, prediction)
    rows = compare(monkeypatch, tmp_path, ["good", "bad", "same"])
    assert len(rows) == 6 and (rows["corpus"] == "a corpus").all() and (rows["n_clips"] == 200).all()
    better = rows.loc["mae", "GOOD", "BAD"]
    assert better["high"] < 0 and better["p"] == pytest.approx(2 / 100_001, abs=1e-6)
    assert better["low"] < better["difference"] < better["high"]
    equal = rows.loc["mae", "BAD", "SAME"]
    assert equal["difference"] == equal["low"] == equal["high"] == 0 and equal["p"] == equal["p_holm"] == 1
    first = (tmp_path / "s.csv").read_bytes()
    compare(monkeypatch, tmp_path, ["good", "bad", "same"])
    assert (tmp_path / "s.csv").read_bytes() == first


def test_no_difference_is_seen_as_often_as_chance_allows(monkeypatch):
    """Of systems that differ by chance alone, about one comparison in twenty has p below 0.05."""
    monkeypatch.setattr(significance, "RESAMPLES", 10_000)
    random = np.random.default_rng(1)
    scores = random.normal(size=(40, 300))
    table = significance.compare(scores, [str(i) for i in range(40)])
    assert 0.01 < (table["p"] < 0.05).mean() < 0.12
    assert (table["p_holm"] >= table["p"]).all() and (table["p_holm"] < 0.05).sum() <= 1
    assert len(table) == len(list(combinations(range(40), 2)))


def test_interval_is_that_of_the_normal_approximation(monkeypatch):
    monkeypatch.setattr(significance, "RESAMPLES", 20_000)
    random = np.random.default_rng(2)
    scores = random.normal(size=(2, 400)) + np.array([[0.3], [0.0]])
    row = significance.compare(scores, ["a", "b"]).iloc[0]
    differences = scores[0] - scores[1]
    error = 1.96 * differences.std() / np.sqrt(400)
    assert row["difference"] == pytest.approx(differences.mean())
    assert [row["low"], row["high"]] == pytest.approx([differences.mean() - error, differences.mean() + error], abs=0.02)


def test_holm():
    """The example of three tests: 0.01 x 3, 0.02 x 2, and 0.03 x 1 raised to the one before."""
    assert significance.holm(np.array([0.03, 0.01, 0.02])).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert significance.holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("label_range", "name"), [((-1.0, 1.0), "acc2"), ((-3.0, 3.0), "acc2_non_negative")])
def test_means_of_the_clips_are_the_metrics(label_range, name):
    random = np.random.default_rng(0)
    truth = np.round(random.uniform(*label_range, 300), 1)
    prediction = random.uniform(-4, 4, 300)
    prediction[:20] = 0.0
    score, _ = metrics_for(label_range)
    errors, right = significance.clip_scores(truth, prediction, label_range)
    expected = score(truth, prediction)
    assert errors.mean() == pytest.approx(expected["mae"]) and right.mean() == pytest.approx(expected[name])


@pytest.mark.parametrize("change", ["order", "clips", "seed"])
def test_runs_of_different_clips_are_refused(monkeypatch, tmp_path, change):
    truth = np.linspace(-1, 1, 20)
    for name in ("first", "second"):
        for seed in SEEDS:
            write_predictions(tmp_path / "runs", name, seed, truth, truth / 2)
    if change == "seed":
        write_predictions(tmp_path / "runs", "second", 12, truth, truth, first_clip=1)
        message = "run second: seed 12 holds other test clips than seed 1"
    else:
        message = "runs first and second hold different test clips"
        for seed in SEEDS:
            changed = truth[::-1] if change == "order" else truth
            write_predictions(tmp_path / "runs", "second", seed, changed, changed, first_clip=change == "clips")
    with pytest.raises(UserError, match=message):
        compare(monkeypatch, tmp_path, ["first", "second"])
