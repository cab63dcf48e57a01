"""dataset.h5 -> feature file -> dataset.h5: what was not cut comes back as it was."""

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pipeline.import_pickle import import_features

CLIPS = 40
WIDTHS = {"text": 4, "audio": 3, "vision": 5}
MODES = ["train"] * 20 + ["test"] * 8 + ["valid"] * 12  # another order than that of the feature file


@pytest.fixture
def dataset(tmp_path):
    """A data set with one clip that is much longer than the others in audio, and no label of task A."""
    random = np.random.default_rng(0)
    path = tmp_path / "数据 dataset.h5"
    with h5py.File(path, "w") as file:
        for modality, width in WIDTHS.items():
            lengths = random.integers(3, 9, CLIPS)
            if modality == "audio":
                lengths[7] = 90
            file[f"{modality}/offsets"] = np.cumsum([0, *lengths])
            file[f"{modality}/values"] = random.normal(5, 2, (lengths.sum(), width)).astype(np.float32)
            file[f"{modality}/mean"], file[f"{modality}/std"] = np.full(width, 5.0), np.full(width, 2.0)
        file["text/token_ids"] = random.integers(1, 250_000, len(file["text/values"])).astype(np.int32)
        names = {"video_id": [f"v {i // 10}" for i in range(CLIPS)], "clip_id": [f"{i:04d}" for i in range(CLIPS)]}
        names |= {"mode": MODES, "text": [f"今天 {i}" for i in range(CLIPS)], "flags": [""] * CLIPS, "message": [""] * CLIPS}
        for name, values in names.items():
            file[f"clips/{name}"] = np.array(values, dtype=h5py.string_dtype())
        labels = (np.arange(4 * CLIPS).reshape(CLIPS, 4) % 11 / 5 - 1).astype(np.float32)
        labels[:, 2] = np.nan
        labels[3, 1] = np.nan
        file["labels"] = labels
    return path


def export(dataset, name="features.pkl"):
    output = dataset.parent / name
    command = [sys.executable, "-m", "pipeline.export_pickle", "--dataset", dataset, "--output", output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def ragged(file, clip, name):
    start, end = file[f"{name.split('/')[0]}/offsets"][clip : clip + 2]
    return file[name][start:end]


def test_there_and_back(dataset):
    features, _ = export(dataset)
    back = dataset.parent / "back.h5"
    import_features(features, "corpus", (-1.0, 1.0), "", back)
    with h5py.File(dataset) as first, h5py.File(back) as second:
        ids = [file["clips/clip_id"].asstr()[:].tolist() for file in (first, second)]
        for i, name in enumerate(ids[0]):
            j = ids[1].index(name)
            np.testing.assert_array_equal(first["labels"][i], second["labels"][j])
            for key in ("video_id", "mode", "text", "flags"):
                assert first[f"clips/{key}"].asstr()[i] == second[f"clips/{key}"].asstr()[j]
            for key in ("text/values", "text/token_ids", "audio/values", "vision/values"):
                expected, values = ragged(first, i, key), ragged(second, j, key)
                if (key, i) == ("audio/values", 7):
                    assert 9 < len(values) < 90
                    expected = expected[: len(values)]
                np.testing.assert_array_equal(values, expected)


def test_the_format(dataset):
    features, printed = export(dataset)
    content = pickle.loads(features.read_bytes())
    assert features.read_bytes()[:2] == b"\x80\x04"
    assert {mode: len(split["id"]) for mode, split in content.items()} == {"train": 20, "valid": 12, "test": 8}
    with h5py.File(dataset) as file:
        lengths = {modality: np.diff(file[f"{modality}/offsets"][:]) for modality in WIDTHS}
        labels = file["labels"][:]
    steps = {modality: int(lengths[modality].mean() + 3 * lengths[modality].std()) for modality in WIDTHS}
    assert f"audio: {steps['audio']} steps, 1 of 40 clips cut at the end" in printed
    assert "regression_labels_A: it is left out" in printed
    train = content["train"]
    for modality, width in WIDTHS.items():
        assert train[modality].shape == (20, steps[modality], width) and train[modality].dtype == np.float32
        assert train[f"{modality}_lengths"] == np.minimum(lengths[modality][:20], steps[modality]).tolist()
        for row, length in zip(train[modality], train[f"{modality}_lengths"], strict=True):
            assert row[:length].all() and not row[length:].any()
    assert train["text_bert"].shape == (20, 3, steps["text"])
    np.testing.assert_array_equal(train["text_bert"][:, 1].sum(1), train["text_lengths"])
    assert train["id"][12] == "v 1$_$0012" and train["raw_text"][12] == "今天 12"
    np.testing.assert_array_equal(train["regression_labels"], labels[:20, 0])
    np.testing.assert_array_equal(train["classification_labels"], np.sign(labels[:20, 0]) + 1)
    assert set(train["annotations"]) == {"Negative", "Neutral", "Positive"}
    assert "regression_labels_V" in train and "regression_labels_A" not in train


def test_without_token_ids_there_is_no_text_bert(dataset):
    with h5py.File(dataset, "a") as file:
        del file["text/token_ids"]
    features, printed = export(dataset)
    assert "no text_bert" in printed and "text_bert" not in pickle.loads(features.read_bytes())["train"]


def test_the_same_data_set_gives_the_same_bytes(dataset):
    first, second = export(dataset, "first.pkl")[0], export(dataset, "second.pkl")[0]
    assert first.read_bytes() == second.read_bytes()
