"""Tables 1 and 3 and Figure 2 of CH-SIMS, from data sets made by hand."""

import filecmp
import sys
import wave

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from pipeline.base.command import UserError
from pipeline.results import corpus_tables

OUTPUTS = ["1.csv", "3.csv", "2.png", "2.csv"]


def write_dataset(path, labels, modes, corpus="a corpus", low=-1.0):
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype()
        file["clips/video_id"] = np.array([f"影片 {i // 2}" for i in range(len(labels))], dtype=text)
        file["clips/clip_id"] = np.array([f"{i:04d}" for i in range(len(labels))], dtype=text)
        file["clips/mode"] = np.array(modes, dtype=text)
        file["clips/text"] = np.array(["今天很开心"] * (len(labels) - 1) + ["不"], dtype=text)
        file["labels"] = np.array(labels, dtype=np.float32)
        file.attrs["corpus"], file.attrs["label_low"], file.attrs["label_high"] = corpus, low, -low


def make(monkeypatch, dataset, folder, clips=None):
    arguments = ["corpus_tables", "--dataset", dataset, *(["--clips", clips] if clips else [])]
    for option, name in zip(("--table1", "--table3", "--figure2", "--figure2-table"), OUTPUTS, strict=True):
        arguments += [option, folder / name]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    corpus_tables.main()
    return [pd.read_csv(folder / name) for name in OUTPUTS if name.endswith(".csv")]


@pytest.fixture
def dataset(tmp_path):
    """Five clips of three videos; the last has no multimodal label."""
    labels = [[-1, 0, -1, -1], [-0.2, 0.2, 0, -0.2], [0, 0, 0, 0], [0.6, 1, 0.6, 0.6], [np.nan, 0.2, 0.2, np.nan]]
    write_dataset(tmp_path / "dataset.h5", labels, ["train", "train", "train", "valid", "test"])
    return tmp_path / "dataset.h5"


def test_what_is_counted_and_what_is_not_known(monkeypatch, tmp_path, dataset):
    for i, seconds in enumerate((1.0, 2.0, 3.0)):
        path = tmp_path / "clips" / f"影片 {i // 2}" / f"{i:04d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 22050, 0, "NONE", ""))
            sound.writeframes(b"\0\0" * int(seconds * 22050))
    table, _, _ = make(monkeypatch, dataset, tmp_path / "a", tmp_path / "clips")
    rows = table.set_index("item")
    assert rows.loc["videos", "value"] == 3 and rows.loc["clips", "value"] == 5
    assert rows.loc["average length of a clip (s)", "value"] == 2.0
    assert rows.loc["average length of a clip (s)", "note"] == "over the 3 clips with sound"
    assert rows.loc["average number of characters of a clip", "value"] == 4.2
    assert np.isnan(rows.loc["distinct speakers", "value"]) and "no speakers" in rows.loc["distinct speakers", "note"]
    assert (rows["corpus"] == "a corpus").all() and "published_value" not in rows
    without, _, _ = make(monkeypatch, dataset, tmp_path / "b")
    length = without.set_index("item").loc["average length of a clip (s)"]
    assert np.isnan(length["value"]) and "without the clips" in length["note"]


def test_classes_of_each_split(monkeypatch, tmp_path, dataset):
    _, table, _ = make(monkeypatch, dataset, tmp_path)
    rows = table.set_index("split")
    assert rows.loc["train", ["total", "NG", "WN", "NU", "WP", "PS", "unlabelled"]].tolist() == [3, 1, 1, 1, 0, 0, 0]
    assert rows.loc["valid", ["total", "WP"]].tolist() == [1, 1]
    assert rows.loc["test", ["total", "NG", "WN", "NU", "WP", "PS", "unlabelled"]].tolist() == [1, 0, 0, 0, 0, 0, 1]


def test_label_counts_and_distances(monkeypatch, tmp_path, dataset):
    _, _, table = make(monkeypatch, dataset, tmp_path)
    clips = table[table["quantity"] == "clips"].set_index(["label", "at"])["value"]
    assert clips["M"].sum() == 4 and clips["T"].sum() == 5
    assert clips["T", "0.2"] == 2 and clips["M", "-1.0"] == 1 and clips["V", "-0.2"] == 1
    distances = table[table["quantity"] == "D"].set_index(["label", "at"])["value"]
    assert distances["M", "T"] == pytest.approx((1 + 0.16 + 0 + 0.16) / 4)
    assert distances["T", "A"] == pytest.approx((1 + 0.04 + 0 + 0.16 + 0) / 5)
    assert distances["A", "T"] == distances["T", "A"] and distances["V", "V"] == 0
    assert image.imread(tmp_path / "2.png").ndim == 3


def test_published_numbers_agree_with_the_counts_of_ch_sims(monkeypatch, tmp_path):
    """A corpus with the published class counts of each split gives the published Table 3."""
    values, modes = [], []
    for mode, (_, *counts) in corpus_tables.PUBLISHED_TABLE3.items():
        values += np.repeat([-0.8, -0.4, 0.0, 0.4, 0.8], counts).tolist()
        modes += [mode] * sum(counts)
    write_dataset(tmp_path / "dataset.h5", np.repeat(np.array(values)[:, None], 4, axis=1), modes, "CH-SIMS")
    first, third, second = make(monkeypatch, tmp_path / "dataset.h5", tmp_path)
    for name in ("total", "NG", "WN", "NU", "WP", "PS"):
        assert third[name].tolist() == third[f"published_{name}"].tolist()
    assert first.set_index("item").loc["clips", ["value", "published_value"]].tolist() == [2281, 2281]
    published = second.dropna(subset="published_value").set_index(["label", "at"])["published_value"]
    assert len(published) == 6 and published["T", "V"] == 0.46


def test_rerun_gives_the_same_bytes(monkeypatch, tmp_path, dataset):
    for name in ("first", "second"):
        make(monkeypatch, dataset, tmp_path / name)
    assert filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", OUTPUTS, shallow=False)[0] == OUTPUTS


def test_labels_of_another_range_are_refused(monkeypatch, tmp_path):
    write_dataset(tmp_path / "dataset.h5", [[2.0] * 4], ["train"], low=-3.0)
    with pytest.raises(UserError, match=r"labels in \(.*3.0.*classes of CH-SIMS"):
        make(monkeypatch, tmp_path / "dataset.h5", tmp_path)
