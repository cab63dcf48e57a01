"""Cutting: exact to the frame, whatever the raw video is like; what cannot be cut is said and the rest goes on."""

import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.clips import cut_video
from pipeline.sources.clip_table import read_clips, read_wav
from pipeline.sources.cut import Picture
from pipeline.sources.manifest_table import COLUMNS
from pipeline.sources.media import ffmpeg_path
from tests.sound import write_wav


def rows(*clips, video_id="v"):
    table = [
        {"video_id": video_id, "clip_id": f"{i:04d}", "path": str(path), "start": start, "end": end, "text": "好"}
        for i, (path, start, end) in enumerate(clips, start=1)
    ]
    return pd.DataFrame(table, columns=COLUMNS).astype({"start": float, "end": float})


def grey_levels(path):
    capture = cv2.VideoCapture(str(path))
    levels = []
    while True:
        more, frame = capture.read()
        if not more:
            return np.array(levels)
        levels.append(frame.mean())


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "clips"
    path.mkdir()
    return path


def test_cut_is_exact_to_the_frame(make_video, folder):
    path = make_video()
    clips = cut_video(rows((path, 1.0, 2.0), (path, 0.5, 0.8)), folder)
    np.testing.assert_allclose(grey_levels(folder / "0001.mp4"), 20 + 2 * np.arange(30, 60), atol=1.0)
    np.testing.assert_allclose(grey_levels(folder / "0002.mp4"), 20 + 2 * np.arange(15, 24), atol=1.0)
    assert [clip.flags for clip in clips] == [[], []]
    assert len(read_wav(folder / "0001.wav")) == 22050


def test_sound_is_cut_at_the_same_moment(make_video, folder, tmp_path):
    path = make_video(audio=False, frames=60)
    click = np.zeros(2 * 22050, np.float32)
    click[22050 + 5000] = 1
    write_wav(tmp_path / "click.wav", click)
    joined = tmp_path / "joined.mkv"
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-i", path, "-i", tmp_path / "click.wav"]
    subprocess.run([*command, "-c:v", "copy", "-c:a", "pcm_s16le", joined], check=True)
    cut_video(rows((joined, 1.0, 2.0)), folder)
    assert np.argmax(np.abs(read_wav(folder / "0001.wav"))) == 5000


def test_other_frame_rates_become_30_hz(make_video, folder):
    path = make_video(frames=50, rate=25)
    cut_video(rows((path, None, None)), folder)
    levels = grey_levels(folder / "0001.mp4")
    assert len(levels) == 60
    moments = np.arange(60) / 30
    np.testing.assert_allclose(levels, 20 + 2 * np.round(moments * 25), atol=3.1)  # one frame is 2


def test_variable_frame_rate(make_video, folder, tmp_path):
    """The first second runs at 30 Hz, the next at 10 Hz; time, not the frame number, decides what is cut."""
    path = tmp_path / "variable.mkv"
    source = make_video(audio=False)
    pick = "select='lt(t,1)+not(mod(n,3))'"
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-i", source, "-vf", pick, "-fps_mode", "vfr"]
    subprocess.run([*command, "-c:v", "libx264", "-crf", "1", "-pix_fmt", "yuv444p", path], check=True)
    cut_video(rows((path, 1.0, 2.0)), folder)
    levels = grey_levels(folder / "0001.mp4")
    assert len(levels) == 30
    np.testing.assert_allclose(levels, 20 + 2 * (30 + np.arange(30) // 3 * 3), atol=2.1)


def test_rotation_is_applied(make_video, folder, tmp_path):
    """A phone films sideways and notes the rotation: the clip stands upright."""
    source, turned = make_video(frames=10, size=(64, 48)), tmp_path / "turned.mp4"
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-display_rotation", "90", "-i", source, "-c", "copy", turned]
    subprocess.run(command, check=True)
    cut_video(rows((turned, None, None)), folder)
    capture = cv2.VideoCapture(str(folder / "0001.mp4"))
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (48, 64)


def test_odd_sizes(make_video, folder):
    clips = cut_video(rows((make_video(frames=10, size=(61, 47)), None, None)), folder)
    assert clips[0].video and len(grey_levels(folder / "0001.mp4")) == 10


def test_an_hour_of_clips_needs_no_more_encoders_than_a_minute(make_video, folder, monkeypatch):
    """Each is a process with pictures in memory: they end with their clips, not with the film."""
    encoders, running = [], []
    open_encoder = Picture._open

    def watched(picture):
        done = open_encoder(picture)
        encoders.append(picture.encoder)
        running.append(sum(encoder.returncode is None for encoder in encoders))
        return done

    monkeypatch.setattr(Picture, "_open", watched)
    path = make_video(frames=90)
    cut_video(rows(*((path, 0.1 * i, 0.1 * (i + 1)) for i in range(29))), folder)
    assert len(encoders) == 29
    assert max(running) <= 2


def test_no_audio_track_is_flagged(make_video, folder):
    (clip,) = cut_video(rows((make_video(audio=False), 0.0, 1.0), video_id="无声"), folder)
    assert clip.video and not clip.audio and clip.flags == ["no_audio"]
    assert "无声/0001" in clip.messages[0] and "replace the file" in clip.messages[0]


def test_spaces_and_chinese_characters(make_video, tmp_path):
    path = make_video("原始 视频/我的 'clip' $(x).mp4")
    folder = tmp_path / "剪辑 片段"
    folder.mkdir()
    (clip,) = cut_video(rows((path, 0.0, 1.0)), folder)
    assert clip.flags == [] and len(grey_levels(folder / clip.video)) == 30


@pytest.mark.parametrize("content", [b"this is a text file\n", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", b""])
def test_a_file_that_is_no_video_is_flagged_and_the_others_go_on(make_video, folder, tmp_path, content):
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(content)
    broken, whole = cut_video(rows((fake, None, None), (make_video(), 0.0, 1.0)), folder)
    assert broken.flags == ["unreadable_video"] and not broken.video and not broken.audio
    assert "v/0001" in broken.messages[0] and "replace the file" in broken.messages[0]
    assert whole.flags == [] and whole.video and whole.audio


def test_truncated_file_gives_what_is_left_with_a_flag(make_video, folder, tmp_path):
    source, noise = make_video(options=("-movflags", "+faststart")), np.random.default_rng(0)
    noisy = make_video("noisy.mp4", options=("-movflags", "+faststart"), grey=lambda i: noise.integers(0, 255, (48, 64)))
    data = noisy.read_bytes()
    short = tmp_path / "short.mp4"
    short.write_bytes(data[: len(data) // 2])
    (clip,) = cut_video(rows((short, None, None)), folder)
    assert "truncated" in clip.flags and clip.video
    assert 10 < len(grey_levels(folder / clip.video)) < 80
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(make_video().read_bytes()[:1500])
    lost, whole = cut_video(rows((headless, 0.0, 1.0), (source, 0.0, 1.0)), folder)
    assert lost.flags == ["unreadable_video"] and whole.flags == []


def test_times_beyond_the_end(make_video, folder):
    path = make_video()
    late, beyond, whole = cut_video(rows((path, 2.0, 5.0), (path, 4.0, 5.0), (path, 2.0, 3.0)), folder)
    assert late.flags == ["end_beyond_video"] and len(grey_levels(folder / late.video)) == 30
    assert beyond.flags == ["start_beyond_video"] and not beyond.video
    assert "correct start and end" in beyond.messages[0]
    assert whole.flags == []


def test_command_keeps_the_order_of_the_manifest(make_video, tmp_path):
    path = make_video()
    table = rows((path, 1.0, 2.0), (path, 0.0, 1.0))
    table["clip_id"] = ["0002", "0001"]
    table["mode"] = "train"
    manifest = tmp_path / "manifest.csv"
    table.to_csv(manifest, index=False)
    output = tmp_path / "out" / "v"
    subprocess.run(
        [sys.executable, "-m", "pipeline.clips", "--manifest", manifest, "--video-id", "v", "--output", output], check=True
    )
    assert [clip.clip_id for clip in read_clips(output)] == ["0002", "0001"]
    assert sorted(path.name for path in output.parent.iterdir()) == ["v"]
