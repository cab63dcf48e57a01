"""Systems without modalities and with noise: what is changed, what is not, and that the complete clips score as before."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from models.system import MODALITIES
from pipeline.results import robustness, robustness_table
from pipeline.results.robustness import EmptyText, conditions, disturbed, select, without
from pipeline.runs.data import read_dataset
from tests.pipeline.test_train import MODES, WIDTHS, run_train, write_dataset


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    labels = np.zeros((len(MODES), 4))  # the label is in the sound alone
    labels[:, 2] = labels[:, 0] = np.random.default_rng(1).choice(np.arange(-5, 6) / 5, len(MODES))
    return write_dataset(tmp_path_factory.mktemp("数据 a") / "dataset.h5", labels)


@pytest.fixture
def dataset(dataset_path):
    return select(read_dataset(dataset_path, torch.device("cpu"), tokens=True), np.array([3, 60, 61, 7]))


EMPTY = EmptyText(torch.ones(2, WIDTHS["text"]), torch.tensor([101, 102]))


def frames_of(dataset, modality, clip):
    start, end = dataset.offsets[modality][clip : clip + 2]
    return dataset.values[modality][start:end]


def test_selected_clips_are_those(dataset_path, dataset):
    whole = read_dataset(dataset_path, torch.device("cpu"), tokens=True)
    assert dataset.mode == ["train", "test", "test", "train"]
    for modality in MODALITIES:
        for place, number in enumerate((3, 60, 61, 7)):
            assert torch.equal(frames_of(dataset, modality, place), frames_of(whole, modality, number))
    assert torch.equal(dataset.labels["M"], whole.labels["M"][[3, 60, 61, 7]])


def test_what_is_missing_is_the_same_in_every_clip(dataset):
    changed = without(without(dataset, "text", EMPTY), "vision", EMPTY)
    for clip in range(4):
        assert torch.equal(frames_of(changed, "text", clip), EMPTY.values)
        assert torch.equal(frames_of(changed, "vision", clip), torch.zeros(1, WIDTHS["vision"]))
        assert torch.equal(frames_of(changed, "audio", clip), frames_of(dataset, "audio", clip))
    assert changed.tokens.tolist() == [101, 102] * 4


def test_noise_is_as_strong_as_it_says(dataset_path):
    whole = read_dataset(dataset_path, torch.device("cpu"), tokens=True)
    for modality in ("audio", "vision"):
        added = disturbed(whole, modality, 2.0).values[modality] - whole.values[modality]
        assert added.std() == pytest.approx(2, rel=0.1) and abs(added.mean()) < 0.2
        half = disturbed(whole, modality, 1.0).values[modality] - whole.values[modality]
        torch.testing.assert_close(2 * half, added, atol=1e-5, rtol=1e-5)
    changed = disturbed(whole, "text", 0.5)
    moved = (changed.values["text"] != whole.values["text"]).any(1)
    assert not moved[whole.offsets["text"][:-1]].any() and not moved[whole.offsets["text"][1:] - 1].any()
    assert moved.sum() / (len(moved) - 2 * len(MODES)) == pytest.approx(0.5, abs=0.15)
    vector_of = {tuple(row): number for row, number in zip(whole.values["text"].tolist(), whole.tokens.tolist(), strict=True)}
    assert [vector_of[tuple(row)] for row in changed.values["text"].tolist()] == changed.tokens.tolist()


def test_each_and_each_pair_is_missing_once(dataset):
    found = list(conditions(dataset, EMPTY))
    assert [gone for condition, gone, _, _ in found if condition == "missing"] == [
        ("text",), ("audio",), ("vision",), ("text", "audio"), ("text", "vision"), ("audio", "vision"),
    ]  # fmt: skip
    assert sum(condition == "noise" for condition, *_ in found) == 9 and len(found) == 16


def run_robustness(monkeypatch, dataset_path, runs, name, output):
    arguments = ["robustness", "--run", name, "--runs", runs, "--seeds", 1, 2, "--dataset", dataset_path, "--output", output]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    robustness.main()
    return pd.read_csv(output)


@pytest.mark.parametrize("system", ["lf_dnn", "ridge"])
def test_the_complete_clips_score_as_in_training(monkeypatch, tmp_path, dataset_path, system):
    changes = {"max_epochs": 40, "early_stop": 40, "learning_rate": 0.01} if system == "lf_dnn" else {}
    run_train(monkeypatch, dataset_path, tmp_path / "runs" / system, system, seeds=(1, 2), **changes)
    table = run_robustness(monkeypatch, dataset_path, tmp_path / "runs", system, tmp_path / "out.csv")
    first = (tmp_path / "out.csv").read_bytes()
    run_robustness(monkeypatch, dataset_path, tmp_path / "runs", system, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == first
    scores = [json.loads((tmp_path / "runs" / system / seed / "metrics.json").read_text())["test"]["M"] for seed in "12"]
    for name in ("mae", "acc2", "f1"):
        assert table[f"{name}_mean"][0] == pytest.approx(100 * np.mean([score[name] for score in scores]), abs=1e-2)
    by_what = table[table["condition"] == "missing"].set_index("modalities")["mae_mean"]
    assert by_what["audio"] > table["mae_mean"][0] + 10 and by_what["audio"] > by_what["text;vision"] + 10
    assert table["condition"].value_counts().to_dict() == {"noise": 9, "missing": 6, "complete": 1}

    figure, joined = tmp_path / "figure.png", tmp_path / "joined.csv"
    arguments = ["robustness_table", "--tables", tmp_path / "out.csv", "--output", joined, "--figure", figure]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    robustness_table.main()
    assert len(pd.read_csv(joined)) == 16 and figure.read_bytes().startswith(b"\x89PNG")
