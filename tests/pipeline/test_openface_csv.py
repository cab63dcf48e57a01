"""The CSV files have OpenFace's columns, and py-feat reads them."""

import subprocess
import sys

import numpy as np
import pytest
from feat import Fex

from features.openface import COLUMNS, UNITS
from pipeline.base.store import ClipFeatures, StoreAttributes, write_store


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (40, len(COLUMNS))).astype(np.float32)
    success = np.ones(40, bool)
    success[7], values[7] = False, np.nan
    clips = [
        ("0001", ClipFeatures(values, {"success": success, "confidence": np.where(success, 0.9, 0.0)})),
        ("0002", ClipFeatures(np.zeros((0, len(COLUMNS))), {}, ["no_video"], "v/0002: no video was cut")),
    ]
    write_store(tmp_path / "v.h5", clips, StoreAttributes(COLUMNS, UNITS, 30.0, "test"))
    command = [sys.executable, "-m", "pipeline.openface_csv", "--features", tmp_path / "v.h5", "--output", tmp_path / "csv"]
    subprocess.run(command, check=True)
    return tmp_path / "csv", values


def test_py_feat_reads_the_file_of_a_clip(folder):
    path, values = folder
    faces = Fex(filename=str(path / "0001.csv"), detector="OpenFace", sampling_freq=30).read_file()
    assert len(faces) == 40
    columns = [COLUMNS.index(f"{axis}_{i}") for axis in "xy" for i in range(68)]
    np.testing.assert_allclose(faces.landmarks.to_numpy(float), values[:, columns], rtol=1e-5)
    units = [name for name in COLUMNS if name.startswith("AU")]
    np.testing.assert_allclose(faces[units].to_numpy(float), values[:, [COLUMNS.index(name) for name in units]], rtol=1e-5)
    assert faces["success"].tolist() == [int(i != 7) for i in range(40)]
    assert faces.iloc[7][units].isna().all()


def test_columns_are_those_of_openface(folder):
    header = (folder[0] / "0001.csv").read_text().splitlines()[0].split(",")
    assert header == ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS] and len(header) == 714
    assert (folder[0] / "0001.csv").read_text().splitlines()[2].startswith("2,0,0.033,0.9,1,")


def test_a_clip_without_frames_keeps_its_file(folder):
    assert (folder[0] / "0002.csv").read_text().count("\n") == 1
