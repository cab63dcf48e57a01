"""`python -m pipeline.vision` on a folder of good and bad clips."""

import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.head import Head
from features.openface import block_slice
from pipeline.base.store import ClipFeatures, read_store
from pipeline.sources.clip_table import Clip
from pipeline.vision import VisionSettings, extract, extract_clip, loudness_during, with_flags, with_speaker_flag

ROOT = Path(__file__).parents[2]


def write_video(path, images):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, images[0].shape[1::-1])
    for image in images:
        writer.write(image[:, :, ::-1])
    writer.release()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "视频 one"
    folder.mkdir()
    head = Head(3, 320, 240, supersample=1)
    face = [head.frame(pose=(0.1 * np.sin(i), 0, 0), index=i).image for i in range(6)]
    black = np.zeros_like(face[0])
    write_video(folder / "0001.mp4", face)
    write_video(folder / "0002.mp4", [black] * 5)
    (folder / "0003.mp4").write_text("this is not a video")
    (folder / "0005.mp4").write_bytes((folder / "0001.mp4").read_bytes()[:800])
    write_video(folder / "0006.mp4", face[:2] + [black] * 6)
    rows = [
        f"{number:04d},{'' if number == 4 else f'{number:04d}.mp4'},,{'no_video' if number == 4 else ''},"
        for number in (6, 1, 2, 3, 4, 5)
    ]
    (folder / "clips.csv").write_text("\n".join(["clip_id,video,audio,flags,message", *rows]) + "\n", encoding="utf-8")
    return folder


OTHERS = ("--focal-length", "500", "--baseline", "none", "--faces", "speaker")


def run(clips, output, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pipeline.vision", "--clips", str(clips), "--output", str(output), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def output(clips):
    path = clips.parent / "vision" / f"{clips.name}.h5"
    finished = run(clips, path)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    return path


def test_store_holds_every_clip_in_order(output):
    store = read_store(output)
    assert list(store.clips) == ["0006", "0001", "0002", "0003", "0004", "0005"]
    assert {clip_id: (clip.values.shape[0], clip.flags) for clip_id, clip in store.clips.items()} == {
        "0006": (8, ["face_in_few_frames", "few_neutral_frames"]),
        "0001": (6, ["few_neutral_frames"]),
        "0002": (5, ["no_face"]),
        "0003": (0, ["no_video"]),
        "0004": (0, ["no_video"]),
        "0005": (0, ["no_video"]),
    }
    for clip_id, clip in store.clips.items():
        assert clip.values.shape[1] == 709 and clip.values.dtype == np.float32
        count = len(clip.values)
        shapes = {"success": (), "confidence": (), "track": (), "faces": (), "box": (4,), "transform": (2, 3)}
        assert {name: clip.extras[name].shape for name in shapes} == {name: (count, *rest) for name, rest in shapes.items()}
        assert np.array_equal(clip.extras["success"], ~np.isnan(clip.values).any(1))
        assert bool(clip.message) == bool(clip.flags)
        if clip.flags:
            assert "视频 one" in clip.message and clip_id in clip.message


def test_store_says_what_it_is(output):
    attributes = read_store(output).attributes
    assert len(attributes.columns) == len(attributes.units) == 709 and attributes.frame_rate == 30
    assert attributes.settings["coordinates"] == "aligned"
    assert attributes.weights["face_landmarker.task"].startswith("64184e22")
    assert sum("mtcnn" in name for name in attributes.weights) == 3 and "shape_model.npz" in attributes.weights


def test_two_runs_give_the_same_bytes(clips, output):
    second = clips.parent / "second" / output.name
    assert run(clips, second).returncode == 0
    assert second.read_bytes() == output.read_bytes()


def test_coordinates_of_the_frame(clips, output):
    path = clips.parent / "frame.h5"
    assert run(clips, path, "--coordinates", "frame", "--minimum-confidence", ".6", *OTHERS).returncode == 0
    store = read_store(path)
    assert store.attributes.settings == {
        "coordinates": "frame",
        "minimum_confidence": 0.6,
        "focal_length": 500.0,
        "baseline": "none",
        "faces": "speaker",
    }
    nose = store.attributes.columns.index("x_30")
    assert abs(store.clips["0001"].values[:, nose].mean() - 160) < 20
    assert abs(read_store(output).clips["0001"].values[:, nose].mean() - 112) < 20


def test_action_units_count_from_the_median_face_of_the_video(clips, output):
    # Six frames of one face make most of the video: with its own median as neutral its intensities are near 0.
    settings = VisionSettings(baseline="none")
    plain = clips.parent / "plain.h5"
    extract(clips, plain, settings)
    own, population = (read_store(path).clips["0001"].values for path in (output, plain))
    intensities = block_slice("AU_r")
    assert not np.array_equal(own[:, intensities], population[:, intensities])
    assert np.nanmean(own[:, intensities]) < 0.5
    assert np.array_equal(own[:, : intensities.start], population[:, : intensities.start])


def test_a_store_says_what_the_neutral_face_is(clips, output):
    store, seen = read_store(output), 0
    for clip_id, clip in store.clips.items():
        person = clip.extras["person"]
        assert (person >= 0).tolist() == clip.extras["success"].tolist()
        if clip_id in ("0001", "0006"):
            seen += clip.extras["success"].sum()
            assert "frames" in clip.message and "baseline" in clip.message
    (frames,), intensity = clip.extras["neutral_frames"], clip.extras["neutral_intensity"]
    assert frames == seen and intensity.shape == (1, 17)
    plain = clips.parent / "population.h5"
    extract(clips, plain, VisionSettings(baseline="none"))
    rows = np.concatenate([read_store(plain).clips[name].values for name in ("0001", "0006")])
    # Seen by the population's neutral face it shows about what the face shows on most frames.
    median = np.nanmedian(rows[:, block_slice("AU_r")], 0)
    assert np.corrcoef(intensity[0], median)[0, 1] > 0.9
    assert not any("neutral" in name for clip in read_store(plain).clips.values() for name in clip.extras)


@pytest.fixture
def two_clips(tmp_path):
    """A folder of two clips: one whose picture is too small for a face, and one of a face."""
    folder = tmp_path / "v 1"
    folder.mkdir()
    face = Head(3, 320, 240, supersample=1).frame().image
    write_video(folder / "small.mp4", [cv2.resize(face, (64, 36))] * 3)
    write_video(folder / "face.mp4", [face] * 3)
    (folder / "clips.csv").write_text("clip_id,video,audio,flags,message\nsmall,small.mp4,,,\nface,face.mp4,,,\n")
    return folder


def test_a_picture_too_small_for_a_face_is_flagged_with_its_size(two_clips, tmp_path):
    extract(two_clips, tmp_path / "out.h5", VisionSettings())
    small, face = read_store(tmp_path / "out.h5").clips.values()
    assert small.values.shape == (3, 709) and small.flags == ["no_face"]
    assert "v 1/small: no face in 3 frames" in small.message and "64 x 36 pixels" in small.message
    assert "larger size" in small.message and face.flags == ["few_neutral_frames"] and face.extras["success"].all()


def test_an_error_inside_a_model_flags_its_clip_and_the_others_go_on(two_clips, tmp_path, monkeypatch):
    def broken(folder, clip, models, settings):
        if clip.clip_id == "small":
            raise RuntimeError("torch.cat():\nexpected a list")
        return extract_clip(folder, clip, models, settings)

    monkeypatch.setattr("pipeline.vision.extract_clip", broken)
    extract(two_clips, tmp_path / "out.h5", VisionSettings())
    store = read_store(tmp_path / "out.h5")
    assert list(store.clips) == ["small", "face"]
    small, face = store.clips.values()
    assert small.values.shape == (0, 709) and small.flags == ["failed"] and face.extras["success"].all()
    assert small.extras.keys() == face.extras.keys() and small.extras["box"].shape == (0, 4)
    assert "v 1/small: small.mp4 could not be measured (RuntimeError: torch.cat(): expected a list)" in small.message


def features(success, **extras):
    return ClipFeatures(np.zeros((len(success), 709)), {"success": np.array(success, bool), **extras})


@pytest.mark.parametrize(
    ("success", "flags"),
    [([], ["no_video"]), ([0, 0], ["no_face"]), ([1, 0, 0], ["face_in_few_frames"]), ([1, 0], []), ([1, 1], [])],
)
def test_flags_by_the_frames_with_a_face(success, flags):
    flagged = with_flags(features(success), Path("video"), Clip("7", video="7.mp4"))
    assert flagged.flags == flags and bool(flagged.message) == bool(flags)
    assert not flags or flagged.message.startswith("video/7: ")


def test_flags_are_added_to_those_there():
    given = features([0])
    given.flags, given.message = ["older"], "older message"
    flagged = with_flags(given, Path("video"), Clip("7", video="7.mp4"))
    assert flagged.flags == ["older", "no_face"] and flagged.message.startswith("older message video/7: ")
    assert given.flags == ["older"]


@pytest.mark.parametrize(
    ("faces", "seen", "speaking", "said"),
    [
        ("largest", 2, [np.nan], "faces: speaker"),
        ("speaker", 2, [0.6, 0.2], "the one that speaks was taken"),
        ("speaker", 3, [0.3, 0.28, 0.1], "uncertain"),
        ("speaker", 2, [np.nan, np.nan], "without sound"),
        ("largest", 1, [np.nan], ""),
        ("speaker", 1, [np.nan], ""),
    ],
)
def test_several_faces_are_said_with_what_was_chosen(faces, seen, speaking, said):
    given = features([1] * 4, faces=np.full(4, seen, np.uint8), speaking=np.array(speaking, np.float32))
    flagged = with_speaker_flag(given, Path("video"), Clip("7", video="7.mp4"), faces)
    assert flagged.flags == (["several_faces"] if said else [])
    assert said in flagged.message and (not said or flagged.message.startswith("video/7: "))


def test_loudness_has_a_value_per_frame(tmp_path):
    with wave.open(str(tmp_path / "7.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(np.int16(8000 * np.repeat([0, 1, 0], 735)).tobytes())
    loudness = loudness_during(tmp_path, Clip("7", audio="7.wav"))
    assert len(loudness) == 3 and loudness.argmax() == 1
    assert loudness_during(tmp_path, Clip("7")) is None
