"""Feature files that are not what they should be are refused with name and cure, before anything is learned of them."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base.command import UserError
from pipeline.base.store import ClipFeatures, StoreAttributes, write_store
from pipeline.dataset import write_modality

ROWS = pd.DataFrame({"video_id": ["甲", "甲", "乙"], "clip_id": ["1", "2", "1"], "mode": ["train", "test", "train"]})


@pytest.fixture
def folder(tmp_path):
    """Feature files of two videos."""
    attributes = StoreAttributes(["a", "b"], ["1", "1"], 30.0, "test", {"x": 1})
    for video_id, rows in ROWS.groupby("video_id"):
        clips = [(clip_id, ClipFeatures(np.full((400, 2), 0.5, np.float32))) for clip_id in rows["clip_id"]]
        write_store(tmp_path / "audio" / f"{video_id}.h5", clips, attributes)
    return tmp_path / "audio"


def edit(folder, change):
    with h5py.File(folder / "乙.h5", "r+") as file:
        change(file)


def set_value(value):
    def change(file):
        file["1/values"][3, 1] = value

    return change


def cut_at(share):
    def spoil(folder):
        content = (folder / "乙.h5").read_bytes()
        (folder / "乙.h5").write_bytes(content[: int(len(content) * share)])

    return spoil


def replaced_columns(file):
    del file["1/values"]
    file["1/values"] = np.zeros((5, 3), np.float32)
    file.attrs["columns"] = ["a", "b", "c"]


SPOILT = {
    "nothing": (lambda folder: (folder / "乙.h5").write_bytes(b""), "乙.h5: no HDF5 file, or a damaged one"),
    "text": (lambda folder: (folder / "乙.h5").write_text("x"), "乙.h5: no HDF5 file, or a damaged one"),
    "cut in the middle": (cut_at(0.5), "乙.h5: no HDF5 file, or a damaged one"),
    "cut near the end": (cut_at(0.98), "乙.h5: no HDF5 file, or a damaged one"),
    "another video": (lambda folder: shutil.copy(folder / "甲.h5", folder / "乙.h5"), "it holds the video '甲', not '乙'"),
    "no clip": (lambda folder: edit(folder, lambda file: file.__delitem__("1")), "乙.h5 lacks clip 1 of the manifest"),
    "a clip without values": (lambda folder: edit(folder, lambda file: file.__delitem__("1/values")), "乙.h5: a damaged"),
    "an infinite value": (lambda folder: edit(folder, set_value(np.inf)), "乙.h5: clip 1 has infinite values"),
    "other columns": (lambda folder: edit(folder, replaced_columns), "乙.h5 has other columns than the other videos"),
    "other settings": (
        lambda folder: edit(folder, lambda file: file.attrs.__setitem__("settings", '{"x": 2}')),
        "乙.h5 has other settings than the other videos",
    ),
    "another rate": (lambda folder: edit(folder, lambda file: file.attrs.__setitem__("frame_rate", 25.0)), "bring them to one"),
    "no feature file": (
        lambda folder: edit(folder, lambda file: file.attrs.__delitem__("extractor")),
        "乙.h5: no feature file of one video",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_file_is_refused_by_name(folder, name):
    spoil, words = SPOILT[name]
    spoil(folder)
    with h5py.File(folder / "made.h5", "w") as file, pytest.raises(UserError, match=words) as refused:
        write_modality(file, "audio", ROWS, folder)
    assert "\n" not in str(refused.value)


def test_a_value_that_is_missing_is_no_fault(folder):
    edit(folder, set_value(np.nan))
    with h5py.File(folder / "made.h5", "w") as file:
        write_modality(file, "audio", ROWS, folder)
        assert (file["audio/values"][:] == 0.5).all()
