"""A published feature file in place of raw videos: import -> training -> table, and the way back."""

import os
import pickle
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml

CONFIG, BUILD, RESULTS = "config/ch_sims_features.yaml", "build/ch_sims_features", "results/ch_sims_features"


@pytest.fixture
def folder(empty_project):
    """The project with a feature file of two clips per split where the config expects it."""
    content = {}
    for number, mode in enumerate(("train", "valid", "test")):
        content[mode] = {
            "id": [f"video_{number:04d}$_$0001", f"video_{number:04d}$_$0002"],
            "raw_text": ["我不想嫁给李茶", "好"],
            **{f"regression_labels{task}": np.array([-0.4, 0.8], np.float32) for task in ("", "_T", "_A", "_V")},
            "text_bert": np.ones((2, 3, 4), np.float32),
        }
        for modality, shape in {"text": (2, 4, 6), "audio": (2, 9, 3), "vision": (2, 5, 7)}.items():
            content[mode][modality] = np.random.default_rng(number).normal(size=shape).astype(np.float32)
    path = empty_project / "CH-SIMS" / "Processed" / "unaligned_39.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content, 4))
    return empty_project


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
    )  # fmt: skip


def test_the_plan_is_import_training_and_table(folder):
    done = snakemake(folder, "--dry-run", f"{RESULTS}/sims_table2.csv", "--configfile", CONFIG)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    counts = dict(line.split() for line in text.splitlines() if re.fullmatch(r"\w+ +\d+", line))
    assert counts.pop("total") == str(sum(map(int, counts.values())))
    assert counts["import_pickle"] == counts["quality"] == "1" and int(counts["train"]) >= 9
    assert not {"clips", "text", "audio", "vision", "dataset", "demo_video", "encoder"} & set(counts)
    assert "--encoder bert-base-chinese" in text and "CH-SIMS/Processed/unaligned_39.pkl" in text


def test_there_and_back(folder):
    done = snakemake(folder, f"{RESULTS}/features.pkl", f"{RESULTS}/quality.csv", "--configfile", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    with h5py.File(folder / BUILD / "dataset.h5") as file:
        assert file.attrs["encoder"] == "bert-base-chinese" and file.attrs["corpus"] == "CH-SIMS"
        audio = file["audio/values"][:9]
    back = pickle.loads((folder / RESULTS / "features.pkl").read_bytes())
    np.testing.assert_array_equal(back["train"]["audio"][0], audio)
    assert len((folder / RESULTS / "quality.csv").read_text(encoding="utf-8").splitlines()) == 7
    again = snakemake(folder, f"{RESULTS}/features.pkl", "--configfile", CONFIG)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_missing_file_and_a_config_with_both_or_neither_are_named(folder):
    done = snakemake(folder, "--dry-run", "x", "--configfile", "config/mosi_features.yaml")
    assert done.returncode != 0 and "no such file 'MOSI/Processed/unaligned_50.pkl'" in done.stdout + done.stderr
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    both = {**config, "manifest": "data_manifest.csv"}
    neither = {key: value for key, value in config.items() if key != "features_file"}
    for wrong in (both, neither):
        (folder / "wrong.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
        done = snakemake(folder, "--dry-run", "x", "--configfile", "wrong.yaml")
        assert done.returncode != 0 and "give one of `manifest`" in done.stdout + done.stderr
