"""Tables of results and the table of single modalities, from run folders written by hand."""

import filecmp
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import image

from models import SYSTEMS as REGISTRY
from models import load_system
from models.metrics import METRIC_TITLES, NAMES, mosi_metrics, sims_metrics
from models.system import build_config
from pipeline.base.command import UserError
from pipeline.results import table, unimodal
from pipeline.results.table_file import read_table_file

ROOT = Path(__file__).parents[2]
TABLES = sorted((ROOT / "config" / "tables").glob("*.yaml"))
VARIANTS = yaml.safe_load((ROOT / "config" / "variants.yaml").read_text(encoding="utf-8"))
SYSTEMS = ["ef_lstm", "mfn", "mult", "lf_dnn", "mlf_dnn", "lmf", "mlmf", "tfn", "mtfn"]
SEEDS = [1, 12, 123]
# The class counts of CH-SIMS's test split; a train split whose median is weakly negative.
TEST = np.repeat([-0.8, -0.4, 0.0, 0.4, 0.8], [151, 97, 69, 69, 71])
TRAIN = np.repeat([-0.8, -0.2, 0.6], [4, 3, 4])


def write_run(runs, system, seed, labels, predictions, task="M", score=sims_metrics):
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
    metrics = score(labels[task], predictions)
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


def make(
    monkeypatch,
    runs,
    folder,
    file=ROOT / "config/tables/sims_table2.yaml",
    corpus="a corpus",
    seeds=SEEDS,
    label_range=(-1, 1),
    without=(),
):
    outputs = {"--output": folder / "t.csv", "--markdown": folder / "t.md", "--figure": folder / "t.png"}
    arguments = ["table", "--table", file, "--runs", runs, "--seeds", *seeds, "--corpus", corpus]
    arguments += ["--provenance", "0123456789ab", "--label-range", *label_range, *(["--without", *without] if without else [])]
    for option, path in outputs.items():
        arguments += [option, path]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    table.main()
    return pd.read_csv(folder / "t.csv")


def test_rows_stand_in_the_order_of_the_paper(monkeypatch, tmp_path, runs):
    rows = make(monkeypatch, runs, tmp_path / "results")
    assert rows["system"].tolist() == [
        "majority (train median)",
        *("EF-LSTM", "MFN", "MULT", "LF-DNN", "MLF-DNN", "MLF-DNN minus LF-DNN"),
        *("LMF", "MLMF", "MLMF minus LMF", "TFN", "MTFN", "MTFN minus TFN"),
    ]
    assert (rows["corpus"] == "a corpus").all()


def test_csv_and_markdown_name_what_made_them(monkeypatch, tmp_path, runs):
    rows = make(monkeypatch, runs, tmp_path / "results")
    assert (rows["provenance"] == "0123456789ab").all()
    assert "Provenance 0123456789ab" in (tmp_path / "results" / "t.md").read_text(encoding="utf-8")


def test_means_and_deviations_are_percent_over_the_seeds(monkeypatch, tmp_path, runs):
    rows = make(monkeypatch, runs, tmp_path / "results").set_index("system")
    for system, name in (("tfn", "TFN"), ("mlmf", "MLMF")):
        metrics = [json.loads((runs / system / str(seed) / "metrics.json").read_text())["test"]["M"] for seed in SEEDS]
        for metric in NAMES:
            values = [100 * run[metric] for run in metrics]
            assert rows.loc[name, f"{metric}_mean"] == pytest.approx(np.mean(values), abs=1e-3)
            assert rows.loc[name, f"{metric}_std"] == pytest.approx(np.std(values, ddof=1), abs=1e-3)
        assert rows.loc[name, "n_seeds"] == 3
    for metric in NAMES:
        expected = rows.loc["MTFN", f"{metric}_mean"] - rows.loc["TFN", f"{metric}_mean"]
        assert rows.loc["MTFN minus TFN", f"{metric}_mean"] == pytest.approx(expected, abs=1e-3)
        assert np.isnan(rows.loc["MTFN minus TFN", f"{metric}_std"])


def test_the_majority_row_predicts_the_train_median(monkeypatch, tmp_path, runs):
    row = make(monkeypatch, runs, tmp_path / "results").iloc[0]
    published = {"acc2": 69.37, "acc3": 54.27, "acc5": 21.23, "f1": 56.82, "f1_table2": 81.91}
    assert {name: round(row[f"{name}_mean"], 2) for name in published} == published
    assert np.isnan(row["corr_mean"]) and np.isnan(row["acc2_std"])


def test_constant_predictions_are_flagged_and_counted(monkeypatch, tmp_path, capsys, runs):
    rows = make(monkeypatch, runs, tmp_path / "results").set_index("system")
    assert rows.loc[["EF-LSTM", "MFN", "TFN"], "majority_seeds"].tolist() == [3, 1, 0]
    assert rows.loc[["EF-LSTM", "MFN", "TFN"], "majority"].astype(str).tolist() == ["True", "True", "False"]
    assert rows.loc[["EF-LSTM", "MFN"], "corr_mean"].isna().all()
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
            predictions = pd.read_csv(path)
            predictions.loc[predictions["mode"] == "test", "truth_M"] = np.nan
            predictions.to_csv(path, index=False)
    with pytest.raises(UserError, match="no clip has a label"):
        make(monkeypatch, tmp_path / "runs", tmp_path / "results")


def test_published_numbers_stand_beside_their_own_corpus_alone(monkeypatch, tmp_path, runs):
    demo = make(monkeypatch, runs, tmp_path / "demo")
    assert not [column for column in demo if "published" in column]
    assert "published:" not in (tmp_path / "demo" / "t.md").read_text(encoding="utf-8")
    rows = make(monkeypatch, runs, tmp_path / "own", corpus="CH-SIMS").set_index("system")
    assert rows.loc["MTFN", "published_acc2"] == 82.45
    assert np.isnan(rows["published_f1"]).all() and rows.loc["TFN", "published_f1_table2"] == 81.62
    assert np.isnan(rows.loc["MTFN minus TFN", "published_acc2"])
    assert "one class for all clips" in rows.loc["EF-LSTM", "published_note"]
    assert rows.loc["MTFN", "acc2_mean"] == demo.set_index("system").loc["MTFN", "acc2_mean"]
    own, published = (tmp_path / "own" / "t.md").read_text(encoding="utf-8").split("## As published: ")
    assert "82.45" in published and "82.45" not in own


def test_each_row_is_scored_on_its_own_label(monkeypatch, tmp_path):
    random = np.random.default_rng(0)
    labels = {task: np.clip(random.normal(size=400) * 0.5, -1, 1) for task in "MTAV"}
    file = ROOT / "config/tables/sims_table4.yaml"
    for run in read_table_file(file).runs:
        task = "M" if run.endswith("_m") else {"text": "T", "audio": "A", "vision": "V"}[run.removeprefix("unimodal_")]
        write_run(tmp_path / "runs", run, 1, labels, labels[task] + random.normal(size=400) * 0.1, task=task)
    rows = make(monkeypatch, tmp_path / "runs", tmp_path, ROOT / "config/tables/sims_table4.yaml", seeds=[1]).set_index(
        "system"
    )
    assert rows["task"].tolist() == ["A", "M", "V", "T", "A", "M", "V", "M", "T", "M"]
    assert (rows.loc[["A, label A", "A, label M", "T, label T"], "corr_mean"] > 90).all()
    for task in "MTAV":
        expected = 100 * sims_metrics(labels[task], np.full(400, np.median(TRAIN)))["acc2"]
        assert rows.loc[f"majority (train median), label {task}", "acc2_mean"] == pytest.approx(expected, abs=1e-3)
    assert image.imread(tmp_path / "t.png").shape[2] == 4


def test_a_run_that_never_learned_the_label_is_named(monkeypatch, tmp_path):
    for run in read_table_file(ROOT / "config/tables/sims_table4.yaml").runs:
        write_run(tmp_path / "runs", run, 1, {task: TEST for task in "MTAV"}, TEST, task="M")
    with pytest.raises(UserError, match="run unimodal_audio, seed 1, has no test metrics of task A: it has M"):
        make(monkeypatch, tmp_path / "runs", tmp_path, ROOT / "config/tables/sims_table4.yaml", seeds=[1])


def test_a_corpus_with_other_labels_has_its_own_metrics_and_rows(monkeypatch, tmp_path):
    random = np.random.default_rng(0)
    file = ROOT / "config/tables/selfmm_table4.yaml"
    truth = np.round(random.uniform(-3, 3, 300), 1)
    for run in read_table_file(file).runs:
        write_run(tmp_path / "runs", run, 1, {"M": truth}, truth + random.normal(size=300), score=mosi_metrics)
    rows = make(monkeypatch, tmp_path / "runs", tmp_path, file, "MOSEI", [1], (-3, 3)).set_index("system")
    assert "acc2_mean" not in rows and rows.loc["2e-4/2e-5", "acc2_positive_mean"] > 70
    assert rows.loc["2e-4/2e-5", "published_acc2_positive"] == 85.2


def test_runs_without_labels_are_left_out_with_a_note(monkeypatch, tmp_path, runs):
    """The difference from a row that is gone goes with it."""
    whole = make(monkeypatch, runs, tmp_path / "whole")
    rows = make(monkeypatch, runs, tmp_path / "less", without=["mlf_dnn", "lmf"])
    gone = {"MLF-DNN", "MLF-DNN minus LF-DNN", "LMF", "MLMF minus LMF"}
    assert set(whole["system"]) - set(rows["system"]) == gone and set(rows["system"]) < set(whole["system"])
    note = "Left out, since they learn labels that clips of this corpus do not have: MLF-DNN, LMF."
    assert note in (tmp_path / "less" / "t.md").read_text(encoding="utf-8")
    assert "Left out" not in (tmp_path / "whole" / "t.md").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="sims_table2.yaml.* no row is left"):
        make(monkeypatch, runs, tmp_path / "none", without=read_table_file(ROOT / "config/tables/sims_table2.yaml").runs)


def test_a_table_of_mosi_is_refused_for_labels_of_ch_sims(monkeypatch, tmp_path, runs):
    with pytest.raises(UserError, match="sfttr_table2.yaml.* not made for labels in"):
        make(monkeypatch, runs, tmp_path, ROOT / "config/tables/sfttr_table2.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("caption:", "captoin:", "unknown key 'captoin'"),
        ("label: MFN,", "label: TFN,", "two rows are called 'TFN'"),
        ("minus: TFN", "minus: tfn", "row 'MTFN' is compared with 'tfn', which is no row"),
        ("      MFN: {", "      MNF: {", "published numbers of CH-SIMS for 'MNF', which is no row"),
        ("acc2: 77.86", "acc: 77.86", "row 'MFN': 'acc' is none of the metrics"),
        ("source: ", "# ", "missing key 'source'"),
    ],
)
def test_a_mistake_in_a_table_file_is_named(tmp_path, old, new, message):
    text = (ROOT / "config/tables/sims_table2.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=f"wrong.yaml: .*{message}"):
        read_table_file(path)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_run_of_a_table_is_a_system_or_a_variant(path):
    file = read_table_file(path)
    assert {VARIANTS.get(run, {}).get("system", run) for run in file.runs} <= set(REGISTRY)
    assert set(file.metrics) <= set(METRIC_TITLES)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_valid_configuration_of_its_system(name):
    values = dict(VARIANTS[name])
    system = values.pop("system")
    own = yaml.safe_load((ROOT / f"config/models/{system}.yaml").read_text(encoding="utf-8"))
    config = build_config(load_system(system).config_class, own | values)
    assert name not in REGISTRY
    # A variant that changes nothing would be a second name for its system; the report's values may be the system's own.
    assert config != build_config(load_system(system).config_class, own) or name == "text_guided_report"


def test_every_variant_stands_in_a_table():
    assert set(VARIANTS) <= {run for path in TABLES for run in read_table_file(path).runs}


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
    made = pd.read_csv(output)
    assert len(made) == 12 and (made["corpus"] == "a corpus").all()
    rows = made[made["system"] == "unimodal_text"].set_index("label")
    assert rows.loc["T", "corr_mean"] > 0.9 and np.isnan(rows.loc["T", "partial_corr_mean"])
    assert rows.loc["A", "corr_mean"] > 0.5 and abs(rows.loc["A", "partial_corr_mean"]) < 0.05
    assert abs(rows.loc["V", "corr_mean"]) < 0.05
    assert (rows["corr_std"] == 0).all()
