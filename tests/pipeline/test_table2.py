"""Table 2 and the table of single modalities, from run folders written by hand."""

import filecmp
import json
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import image

from models.metrics import NAMES, sims_metrics
from pipeline import table2, unimodal

SYSTEMS = ["ef_lstm", "mfn", "mult", "lf_dnn", "mlf_dnn", "lmf", "mlmf", "tfn", "mtfn"]
SEEDS = [1, 12, 123]
# The class counts of CH-SIMS's test split; a train split whose median is weakly negative.
TEST = np.repeat([-0.8, -0.4, 0.0, 0.4, 0.8], [151, 97, 69, 69, 71])
TRAIN = np.repeat([-0.8, -0.2, 0.6], [4, 3, 4])


def write_run(runs, system, seed, labels, predictions, task="M"):
    """A run folder with the given test labels {task: array} and predictions of one task."""
    folder = runs / system / str(seed)
    folder.mkdir(parents=True)
    train = pd.DataFrame({f"truth_{name}": TRAIN for name in labels} | {"mode": "train", f"prediction_{task}": 0.0})
    test = pd.DataFrame({f"truth_{name}": values for name, values in labels.items()} | {"mode": "test"})
    test[f"prediction_{task}"] = predictions
    table = pd.concat([train, test], ignore_index=True)
    table.insert(0, "clip_id", [f"{i:04d}" for i in range(len(table))])
    table.insert(0, "video_id", "video_0001")
    table.to_csv(folder / "predictions.csv", index=False)
    metrics = sims_metrics(labels[task], predictions)
    metrics["corr"] = None if np.isnan(metrics["corr"]) else metrics["corr"]
    (folder / "metrics.json").write_text(json.dumps({"corpus": "a corpus", "test": {task: metrics}}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"modality": "text", "task": task}))


@pytest.fixture
def runs(tmp_path):
    """EF-LSTM constant in each seed, MFN in one; the others predict with noise that falls from system to system."""
    random = np.random.default_rng(0)
    for noise, system in enumerate(SYSTEMS):
        for seed in SEEDS:
            predictions = TEST + random.normal(size=len(TEST)) * (1.2 - 0.1 * noise)
            if system == "ef_lstm" or (system == "mfn" and seed == 12):
                predictions = np.full(len(TEST), -0.2)
            write_run(tmp_path / "runs", system, seed, {"M": TEST}, predictions)
    return tmp_path / "runs"


def make(monkeypatch, runs, folder):
    outputs = {"--output": folder / "t.csv", "--markdown": folder / "t.md", "--figure": folder / "t.png"}
    arguments = ["table2", "--runs", runs, "--systems", *SYSTEMS, "--seeds", *SEEDS, "--corpus", "a corpus"]
    for option, path in outputs.items():
        arguments += [option, path]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    table2.main()
    return pd.read_csv(folder / "t.csv")


def test_rows_stand_in_the_order_of_the_paper(monkeypatch, tmp_path, runs):
    table = make(monkeypatch, runs, tmp_path / "results")
    assert table["system"].tolist() == [
        "majority (train median)",
        *("EF-LSTM", "MFN", "MULT", "LF-DNN", "MLF-DNN", "MLF-DNN minus LF-DNN"),
        *("LMF", "MLMF", "MLMF minus LMF", "TFN", "MTFN", "MTFN minus TFN"),
    ]
    assert (table["corpus"] == "a corpus").all()


def test_means_and_deviations_are_percent_over_the_seeds(monkeypatch, tmp_path, runs):
    table = make(monkeypatch, runs, tmp_path / "results").set_index("system")
    for system, name in (("tfn", "TFN"), ("mlmf", "MLMF")):
        metrics = [json.loads((runs / system / str(seed) / "metrics.json").read_text())["test"]["M"] for seed in SEEDS]
        for metric in NAMES:
            values = [100 * run[metric] for run in metrics]
            assert table.loc[name, f"{metric}_mean"] == pytest.approx(np.mean(values), abs=1e-3)
            assert table.loc[name, f"{metric}_std"] == pytest.approx(np.std(values, ddof=1), abs=1e-3)
        assert table.loc[name, "n_seeds"] == 3
    for metric in NAMES:
        expected = table.loc["MTFN", f"{metric}_mean"] - table.loc["TFN", f"{metric}_mean"]
        assert table.loc["MTFN minus TFN", f"{metric}_mean"] == pytest.approx(expected, abs=1e-3)
        assert np.isnan(table.loc["MTFN minus TFN", f"{metric}_std"])


def test_the_majority_row_predicts_the_train_median(monkeypatch, tmp_path, runs):
    row = make(monkeypatch, runs, tmp_path / "results").iloc[0]
    published = {"acc2": 69.37, "acc3": 54.27, "acc5": 21.23, "f1": 56.82, "f1_table2": 81.91}
    assert {name: round(row[f"{name}_mean"], 2) for name in published} == published
    assert np.isnan(row["corr_mean"]) and np.isnan(row["acc2_std"])


def test_constant_predictions_are_flagged_and_counted(monkeypatch, tmp_path, capsys, runs):
    table = make(monkeypatch, runs, tmp_path / "results").set_index("system")
    assert table.loc[["EF-LSTM", "MFN", "TFN"], "majority_seeds"].tolist() == [3, 1, 0]
    assert table.loc[["EF-LSTM", "MFN", "TFN"], "majority"].astype(str).tolist() == ["True", "True", "False"]
    assert table.loc[["EF-LSTM", "MFN"], "corr_mean"].isna().all()
    markdown = (tmp_path / "results" / "t.md").read_text(encoding="utf-8")
    assert "one class for all clips in 3 of 3 seeds" in markdown
    assert "MFN: majority: one class for all clips in 1 of 3 seeds" in capsys.readouterr().out
    line = next(line for line in markdown.splitlines() if line.startswith("| EF-LSTM"))
    assert "| NaN |" in line and "69.37 ± 0.00" in line


def test_rerun_gives_the_same_bytes(monkeypatch, tmp_path, runs):
    for name in ("first", "second"):
        make(monkeypatch, runs, tmp_path / name)
    names = ["t.csv", "t.md", "t.png"]
    assert filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", names, shallow=False)[0] == names
    assert image.imread(tmp_path / "first" / "t.png").shape[:2] == (900, 1560)


def test_unlabelled_test_clips_give_an_error_not_a_table(monkeypatch, tmp_path):
    for system in SYSTEMS:
        for seed in SEEDS:
            write_run(tmp_path / "runs", system, seed, {"M": TEST}, TEST)
            path = tmp_path / "runs" / system / str(seed) / "predictions.csv"
            table = pd.read_csv(path)
            table.loc[table["mode"] == "test", "truth_M"] = np.nan
            table.to_csv(path, index=False)
    with pytest.raises(SystemExit, match="no clip has a label"):
        make(monkeypatch, tmp_path / "runs", tmp_path / "results")


def test_single_modalities_against_all_labels(monkeypatch, tmp_path):
    """Predictions that follow T alone: what they share with A is T itself, so nothing is left once T is taken out."""
    random = np.random.default_rng(0)
    text, other, noise = np.clip(random.normal(size=(3, 4000)) * 0.3, -1, 1)
    labels = {"M": (text + other) / 2, "T": text, "A": np.clip(text + other, -1, 1), "V": other}
    for system in unimodal.SYSTEMS:
        for seed in SEEDS[:2]:
            write_run(tmp_path / "runs", system, seed, labels, text + noise / 3, task="T")
    output = tmp_path / "unimodal.csv"
    monkeypatch.setattr(sys, "argv", ["u", "--runs", str(tmp_path / "runs"), "--seeds", "1", "12", "--output", str(output)])
    unimodal.main()
    table = pd.read_csv(output)
    assert len(table) == 12 and (table["corpus"] == "a corpus").all()
    rows = table[table["system"] == "unimodal_text"].set_index("label")
    assert rows.loc["T", "corr_mean"] > 0.9 and np.isnan(rows.loc["T", "partial_corr_mean"])
    assert rows.loc["A", "corr_mean"] > 0.5 and abs(rows.loc["A", "partial_corr_mean"]) < 0.05
    assert abs(rows.loc["V", "corr_mean"]) < 0.05
    assert (rows["corr_std"] == 0).all()
