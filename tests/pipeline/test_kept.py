"""What was kept is taken over if nothing it depends on has changed, and only then."""

import json
import sys

import pytest

from pipeline import train
from pipeline.base.kept import keep, key_of, take
from tests.pipeline.test_train import ROOT, write_dataset


def test_kept_and_taken(tmp_path):
    folder, kept = tmp_path / "跑 1", tmp_path / ".kept" / "1"
    folder.mkdir()
    (folder / "a").write_text("a")
    assert not take(kept, tmp_path / "none", "k")
    keep(folder, kept, "k")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert not take(kept, folder, "other") and not folder.exists()
    assert take(kept, folder, "k") and (folder / "a").read_text() == "a" and len(list(folder.iterdir())) == 1
    (kept / "a").write_text("changed")
    assert not take(kept, folder, "k")


def test_a_key_is_of_values_and_contents(tmp_path):
    file = tmp_path / "f"
    file.write_text("1")
    first = key_of({"a": 1}, [file])
    assert first == key_of({"a": 1}, [file]) != key_of({"a": 2}, [file])
    file.write_text("2")
    assert first != key_of({"a": 1}, [file])


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """A function that trains seeds and says which were really trained."""
    dataset = write_dataset(tmp_path / "dataset.h5")
    code = tmp_path / "module.py"
    code.write_text("x = 1\n")
    made = []
    original = train.train_seed
    monkeypatch.setattr(train, "train_seed", lambda seed, *rest: made.append(seed) or original(seed, *rest))

    def run(*seeds, **changes):
        made.clear()
        arguments = ["train", "--dataset", dataset, "--system", "lf_dnn", "--config", ROOT / "config/models/lf_dnn.yaml"]
        arguments += ["--override", json.dumps({"max_epochs": 2, "batch_size": 16} | changes), "--seeds", *seeds]
        arguments += ["--code", code, "--output", tmp_path / "run"]
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
        train.main()
        return list(made)

    run.code, run.folder = code, tmp_path / "run"
    return run


def test_one_seed_more_trains_that_seed_alone(trained):
    assert trained(1, 12) == [1, 12]
    before = {path: path.read_bytes() for path in trained.folder.glob("[0-9]*/*")}
    assert trained(1, 12, 123) == [123] and trained(12, 1) == []
    assert {path: path.read_bytes() for path in before} == before
    assert trained(1, max_epochs=3) == [1] and trained(1, max_epochs=3) == []
    trained.code.write_text("x = 2\n")
    assert trained(1, max_epochs=3) == [1]
