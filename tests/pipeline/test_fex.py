"""Our features as py-feat's `Fex` and back, with py-feat's own reading, writing and plotting."""

import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest
from feat import Fex
from feat.utils.io import read_feat
from matplotlib.patches import FancyArrow

from features import align
from features.openface import COLUMNS, UNITS, block_slice
from features.pose import rotation_matrix
from features.py_feat import from_py_feat, rotation_of_euler
from features.shape_model import load_shape_model
from pipeline.base.command import UserError
from pipeline.base.store import ClipFeatures, StoreAttributes, read_store, write_store
from pipeline.fex import from_fex, main, plot_frame, to_fex
from pipeline.sources.manifest_table import COLUMNS as MANIFEST_COLUMNS
from tests.features.test_py_feat import neutral_mesh, table_of_v2

matplotlib.use("Agg")
ROOT = Path(__file__).parents[2]
UNIT_COLUMNS = [i for i, name in enumerate(COLUMNS) if name.startswith("AU")]


@pytest.fixture(scope="module")
def features():
    """Ten frames of a face that moves; none on frame 4."""
    tables = []
    for frame in (0, 1, 2, 3, 5, 6, 7, 8, 9):
        angles = {
            "Pitch": 0.01 * frame,
            "Roll": 0.02 * frame,
            "Yaw": -0.03 * frame,
            "gaze_pitch": 0.1,
            "gaze_yaw": 0.02 * frame,
        }
        tables.append(table_of_v2(neutral_mesh() + frame, frame, **angles))
    found = from_py_feat(pd.concat(tables, ignore_index=True), 10)
    found.values[:, UNIT_COLUMNS] = np.random.default_rng(0).uniform(0, 5, (10, 35))
    found.values[4] = np.nan
    return found


@pytest.fixture
def store(features, tmp_path):
    names = ("success", "confidence", "box", "transform", "track")
    clip = ClipFeatures(features.values.copy(), {name: getattr(features, name) for name in names})
    empty = ClipFeatures(np.zeros((0, 709)), {}, ["no_video"], "v/0002: no video was cut")
    write_store(tmp_path / "v.h5", [("0001", clip), ("0002", empty)], StoreAttributes(COLUMNS, UNITS, 30.0, "test"))
    return read_store(tmp_path / "v.h5")


@pytest.fixture
def video(make_video):
    return make_video("a face.mp4", frames=10, size=(320, 240))


def test_py_feat_sees_our_features(store, features, video):
    fex = to_fex(store, "0001", video)
    assert isinstance(fex, Fex) and len(fex) == 10 and fex.sampling_freq == 30
    assert fex.aus.shape == (10, 20) and fex.poses.shape == (10, 6) and fex.gazes.shape == (10, 3)
    x, y = fex.landmarks_dlib68_xy()
    np.testing.assert_allclose(x, features.values[:, block_slice("x")], rtol=1e-5)
    np.testing.assert_allclose(y, features.values[:, block_slice("y")], rtol=1e-5)
    np.testing.assert_allclose(fex["AU12"], features.values[:, COLUMNS.index("AU12_r")] / 5, rtol=1e-6)
    np.testing.assert_allclose(fex["AU43"], features.values[:, COLUMNS.index("AU45_r")] / 5, rtol=1e-6)
    np.testing.assert_allclose(fex["AU28"], features.values[:, COLUMNS.index("AU28_c")], rtol=1e-6)
    assert fex["AU11"].isna().all() and fex["AU24"].isna().all()
    assert fex.loc[4, [*fex.facebox_columns, *fex.landmark_columns, *fex.gaze_columns, *fex.au_columns]].isna().all()
    assert (fex["FrameWidth"] == 320).all() and fex.extract_mean()["mean_AU12"].notna().all()
    assert len(to_fex(store, "0002")) == 0


def test_there_and_back(store, features, video):
    """Apart from what Detectorv1 has no place for: eye landmarks, thresholds of presence, and the places of the mesh to which
    the shape model is fitted.  The model is fitted to the 68 points instead, which lie where hands set them."""
    back = from_fex(to_fex(store, "0001", video))
    lost = [i for i, name in enumerate(COLUMNS) if name.startswith("eye_lmk") or name.endswith("_c")]
    kept = np.setdiff1d(np.arange(709), lost)
    for name in ("p", "p_r", "p_t", "p_scale", "pose_T", *"XYZ"):  # fitted again
        kept = np.setdiff1d(kept, np.arange(709)[block_slice(name)])
    np.testing.assert_allclose(back.values[:, kept], features.values[:, kept], atol=1e-4)
    for row in np.flatnonzero(features.success):
        ours, theirs = (dict(zip(COLUMNS, found.values[row], strict=True)) for found in (back, features))
        np.testing.assert_allclose([ours[f"p_r{a}"] for a in "xyz"], [theirs[f"p_r{a}"] for a in "xyz"], atol=0.03)
        for name in ("p_tx", "p_ty", "p_scale"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0.01)
        distances = [np.linalg.norm([face[f"pose_T{a}"] for a in "xyz"]) for face in (ours, theirs)]
        np.testing.assert_allclose(*distances, rtol=0.06)
        points = np.stack([back.values[row, block_slice(axis)] for axis in "xy"], 1)
        seen = load_shape_model().fit(points)
        np.testing.assert_allclose(back.values[row, block_slice("p")], seen.coefficients, atol=1, rtol=0.02)
    for name in ("success", "confidence", "box", "transform", "track"):
        np.testing.assert_allclose(back.extras[name], getattr(features, name), atol=1e-4)
    np.testing.assert_array_equal(
        back.values[:, COLUMNS.index("AU12_c")] == 1, features.values[:, COLUMNS.index("AU12_r")] >= 2.5
    )


def test_features_of_the_aligned_face_come_back_into_the_frame(store, features):
    """The same face in the coordinates of a turned and scaled picture gives the same Fex."""
    expected = to_fex(store, "0001")
    clip, turn, turned = store.clips["0001"], rotation_matrix((0, 0, 0.4)), np.array([[2, 0, 10], [0, 2, -5]]) @ np.eye(3)
    turned[:, :2] = 2 * turn[:2, :2]
    for row in np.flatnonzero(clip.extras["success"]):
        values = clip.values[row]
        points = align.apply(turned, np.stack([values[block_slice(axis)] for axis in "xy"], 1))
        values[block_slice("x")], values[block_slice("y")] = points.T
        for name in ("gaze_0", "gaze_1"):
            values[block_slice(name)] = turn @ values[block_slice(name)]
        fex = expected.loc[row]
        rotation = turn @ rotation_of_euler(fex["Pitch"], fex["Roll"], fex["Yaw"])
        values[block_slice("pose_R")] = [
            np.arctan2(-rotation[1, 2], rotation[2, 2]),
            np.arcsin(rotation[0, 2]),
            np.arctan2(-rotation[0, 1], rotation[0, 0]),
        ]
        clip.extras["transform"][row] = turned
    found = to_fex(store, "0001")
    columns = [*expected.facebox_columns, *expected.landmark_columns, *expected.facepose_columns, *expected.gaze_columns]
    np.testing.assert_allclose(found[columns].to_numpy(float), expected[columns].to_numpy(float), atol=1e-3)


def test_our_table_through_fex_and_back(store, features, tmp_path):
    """Store -> OpenFace's CSV -> Fex, written by py-feat -> store: every column as it was."""

    def python(*arguments):
        subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=ROOT, check=True, capture_output=True)

    python("pipeline.openface_csv", "--features", tmp_path / "v.h5", "--output", tmp_path / "csv")
    path = str(tmp_path / "csv" / "0001.csv")
    names = ["frame", "timestamp", "confidence", "success", *COLUMNS]  # by itself it leaves out what OpenFace 1 had not
    fex = Fex(detector="OpenFace", sampling_freq=30).read_openface(path, features=names)
    (tmp_path / "fex").mkdir()
    fex.to_csv(tmp_path / "fex" / "0001.csv", index=False)
    row = {"video_id": "v", "clip_id": "0001", "mode": "train"}
    pd.DataFrame([row], columns=MANIFEST_COLUMNS).to_csv(tmp_path / "manifest.csv", index=False)
    command = ["pipeline.openface_source", "--manifest", tmp_path / "manifest.csv", "--video-id", "v"]
    python(*command, "--csv", tmp_path / "fex", "--output", tmp_path / "again.h5")
    clip = read_store(tmp_path / "again.h5").clips["0001"]
    np.testing.assert_allclose(clip.values, features.values, rtol=1e-5)
    np.testing.assert_array_equal(clip.extras["success"], features.success)


def test_the_command_writes_a_file_that_py_feat_reads_and_plots(store, video, tmp_path, monkeypatch):
    def command(clip_id, output, *options):
        arguments = ["fex", "--features", tmp_path / "v.h5", "--video", video, "--clip", clip_id, "--output", output, *options]
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
        main()

    command("0001", tmp_path / "0001.csv")
    fex = read_feat(str(tmp_path / "0001.csv"))
    np.testing.assert_allclose(fex.aus, to_fex(store, "0001").aus)
    figure = fex.query("frame == 3").plot_detections(poses=True, gazes=True, plot_original_image=False)[0]
    assert len(figure.axes) == 3
    command("0001", tmp_path / "frame.png", "--frame", "3")
    assert cv2.imread(str(tmp_path / "frame.png")).std() > 20
    with pytest.raises(UserError, match="it has 0001, 0002"):
        command("x", tmp_path / "x.csv")


def test_the_plot_shows_the_frame_and_what_was_found_on_it(store, video):
    fex = to_fex(store, "0001", video)
    figure = plot_frame(fex, 7)
    picture, bars = figure.axes
    assert picture.images[0].get_array().shape == (240, 320, 3)
    assert abs(picture.images[0].get_array().mean() - 34) < 4  # frame i has the grey level 20 + 2 i
    box = picture.patches[0]
    np.testing.assert_allclose([box.get_x(), box.get_width()], fex.loc[7, ["FaceRectX", "FaceRectWidth"]].astype(float))
    drawn = np.concatenate([line.get_xydata() for line in picture.lines])
    chin = fex.loc[7, ["x_8", "y_8"]].astype(float)
    assert np.linalg.norm(drawn - chin.to_numpy(), axis=1).min() < 1e-3
    (arrow,) = [patch for patch in picture.patches if isinstance(patch, FancyArrow)]
    assert fex.loc[7, "gaze_yaw"] > 0 and arrow.get_xy()[:, 0].min() < box.get_x() + box.get_width() / 2 - 5, (
        "to the left of the image"
    )
    assert len(bars.patches) == 20
    with pytest.raises(ValueError, match="no face on frame 4"):
        plot_frame(fex, 4)


def test_what_cannot_be_read_is_said(store, tmp_path):
    with pytest.raises(ValueError, match="size of its frames"):
        from_fex(to_fex(store, "0001"))
    with pytest.raises(ValueError, match="lacks FaceRectX"):
        from_fex(Fex(pd.DataFrame({"frame": [0]})))
    with pytest.raises(FileNotFoundError, match="no video"):
        to_fex(store, "0001", tmp_path / "v.h5")
