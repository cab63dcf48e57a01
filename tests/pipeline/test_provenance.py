"""What made a result, and why two differ; what each rule took."""

import json
import sys

import pytest

from pipeline import provenance
from pipeline.base.command import UserError
from pipeline.provenance import commit_of, compare
from pipeline.results import run_times
from tests.pipeline.packed import describe
from tests.pipeline.test_train import write_dataset


def write(monkeypatch, folder, config, output="provenance.json"):
    manifest = folder / "m.csv"
    manifest.write_text("a,b\n", encoding="utf-8")
    arguments = ["write", "--config", json.dumps(config), "--manifest", manifest, "--dataset", folder / "dataset.h5"]
    monkeypatch.setattr(sys, "argv", ["provenance", *map(str, arguments), "--output", str(folder / output)])
    provenance.main()
    return folder / output


def test_what_differs_is_named(monkeypatch, tmp_path):
    describe(write_dataset(tmp_path / "dataset.h5"))
    first = write(monkeypatch, tmp_path, {"seeds": [1], "text": {"encoder": "编"}})
    found = json.loads(first.read_text(encoding="utf-8"))
    assert found["corpus"] == "test corpus" and found["versions"]["torch"] and found["weights"]["text"] == {"an encoder": "abc"}
    assert len(found["sha256"]["manifest"]) == len(found["sha256"]["dataset"]) == 64
    assert compare(first, first) == "no difference: the results are the same bytes"
    second = write(monkeypatch, tmp_path, {"seeds": [1, 2], "text": {"encoder": "编"}}, "second.json")
    assert compare(first, second) == "configuration: seeds: [1] | [1, 2]"
    found["machine"]["cores"] = 999
    second.write_text(json.dumps(found), encoding="utf-8")
    assert compare(first, second).startswith("another machine alone") and "cores: " in compare(first, second)
    second.write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"second.json: no provenance.json"):
        compare(first, second)


def test_outside_a_repository_there_is_no_commit(tmp_path):
    assert commit_of(tmp_path) == ""


def test_run_times_are_summed_by_rule(tmp_path):
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, line in {
        "train/tfn": "10.5\t0:00:10\t900.4\t1\t1\t1\t1\t1\t1\t9.5",
        "train/影": "2\t0:00:02\t-\t-\t-\t-\t-\t-\t-\t1",
        "qc/qc": "0.1\t0:00:00\t-\t-\t-\t-\t-\t-\t-\t0",
    }.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + line + "\n", encoding="utf-8")
    table = run_times.run_times(tmp_path).set_index("rule")
    assert table.index.tolist() == ["train", "qc"]
    assert table.loc["train"].tolist() == [2, 12.5, 10.5, 10.5, 900] and table["memory_mb"].isna().tolist() == [False, True]
    with pytest.raises(UserError, match="no job has been measured yet"):
        run_times.run_times(tmp_path / "none")
