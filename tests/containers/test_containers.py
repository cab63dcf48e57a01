"""The moments that were asked for, out of containers that promise little; `make containers` tries every combination."""

import subprocess

import cv2
import numpy as np
import pytest

from pipeline.clips import cut_video
from pipeline.sources.clip_table import read_wav
from pipeline.sources.media import ffmpeg_path
from tests.containers.film import CUTS, SECONDS, Film, beeps, read_beeps, read_picture, try_film, write_film
from tests.pipeline.test_clips import rows
from tests.sound import write_wav

PLAIN = [
    Film(container) for container in ("mp4", "mkv", "webm", "ts", "m2ts", "flv", "avi", "mpg", "wmv", "pipe.mkv", "h264", "ogv")
]
HARD = [
    Film("ts", group=300), Film("ts", open_group=True), Film("flv", rate=12), Film("avi", rate=25), Film("mkv", rate=2),
    Film("mkv", offset=5), Film("ts", offset=100), Film("mp4", uneven=True), Film("mkv", sound=(1.2, SECONDS)),
    Film("h264.avi"), Film("h264.avi", rate=12), Film("ts", channels=6), Film("mp4", silence=(1.5, 3.5)), Film("mp4", rate=120),
]  # fmt: skip


@pytest.mark.parametrize("film", PLAIN + HARD, ids=lambda film: f"{film.container} {film.name}")
def test_the_cut_shows_and_sounds_the_moments_that_were_asked_for(film):
    verdicts = try_film(film)
    if verdicts is None:
        pytest.skip(f"this ffmpeg cannot write {film}")
    assert [verdict.wrong for verdict in verdicts] == [""] * len(CUTS)
    expected = [] if film.container != "h264" else ["no_audio"]
    assert [verdict.flags for verdict in verdicts] == [expected] * len(CUTS)


@pytest.mark.parametrize("suffix", ["ts", "flv", "avi", "mkv"])
def test_the_same_film_in_another_container_gives_the_same_clip(suffix, folder, tmp_path):
    """Copied without encoding it anew, as downloads and recordings are: B-frames and the lead-in of AAC come along."""
    film = write_film(Film("mp4"), tmp_path)
    copy = tmp_path / f"copy.{suffix}"
    ffmpeg("-i", film, "-c", "copy", copy)
    clips = cut_video(rows((film, 2.3, 3.7), (copy, 2.3, 3.7)), folder)
    assert [clip.flags for clip in clips] == [[], []]
    moments = [read_picture(folder / clip.video) for clip in clips]
    np.testing.assert_allclose(moments[1], moments[0], atol=0.01)
    (onset, second), (other_onset, other_second) = (read_beeps(folder / clip.audio)[0] for clip in clips)
    assert second == other_second == 3 and other_onset == pytest.approx(onset, abs=0.003)
    assert len(read_wav(folder / clips[0].audio)) == len(read_wav(folder / clips[1].audio))


def test_before_the_first_picture_the_clip_is_black_and_says_so():
    """Nothing is filled with a later picture."""
    verdicts = try_film(Film("mkv", picture=(1.2, SECONDS)))
    assert [verdict.wrong for verdict in verdicts] == [""] * 3
    assert [verdict.flags for verdict in verdicts] == [["picture_starts_late"], [], []]


def test_the_judge_sees_a_wrong_cut(monkeypatch):
    """The rig itself: a cut of moments 0.2 s from those that are judged by is wrong in picture and sound."""
    monkeypatch.setattr("tests.containers.film.film_start", lambda film, path: 0.2)
    (verdict,) = try_film(Film("mkv"), [(2.3, 3.7)])
    assert "picture" in verdict.wrong and "sound" in verdict.wrong


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "clips"
    path.mkdir()
    return path


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_path(), "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def test_a_picture_that_goes_on_for_less_than_its_sound_is_not_truncated(folder, tmp_path):
    path = write_film(Film("mp4", picture=(0, 5.9)), tmp_path)
    (clip,) = cut_video(rows((path, None, None)), folder)
    assert clip.flags == []


def test_cover_art_is_not_the_picture(folder, tmp_path):
    path, cover, film = write_film(Film("mp4"), tmp_path), tmp_path / "cover.jpg", tmp_path / "covered.mp4"
    cv2.imwrite(str(cover), np.full((48, 64, 3), 255, np.uint8))
    ffmpeg("-i", cover, "-i", path, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic", film)
    (clip,) = cut_video(rows((film, 1.0, 2.0)), folder)
    assert clip.flags == []
    np.testing.assert_allclose(read_picture(folder / clip.video), 1 + np.arange(30) / 30, atol=0.03)


def test_of_several_sound_tracks_the_default_is_taken_unless_another_is_named(folder, tmp_path):
    path, silent, film = write_film(Film("mkv"), tmp_path), tmp_path / "silent.wav", tmp_path / "two.mkv"
    write_wav(silent, np.zeros(44100 * 6, np.float32), 44100)
    ffmpeg("-i", path, "-i", silent, "-map", "0:v", "-map", "1:a", "-map", "0:a", "-c", "copy",
           "-disposition:a:0", "0", "-disposition:a:1", "default", film)  # fmt: skip
    (clip,) = cut_video(rows((film, 0.5, 2.5)), folder)
    assert clip.flags == ["several_sound_tracks"] and "2 sound tracks" in clip.messages[0]
    assert [second for _, second in read_beeps(folder / clip.audio)] == [1, 2]
    (clip,) = cut_video(rows((film, 0.5, 2.5)), folder, audio_track=1)
    assert read_beeps(folder / clip.audio) == []
    (clip,) = cut_video(rows((film, 0.5, 2.5)), folder, audio_track=3)
    assert clip.flags == ["unreadable_video"] and "it has 2 sound track(s), not 3" in clip.messages[0]


def test_picture_and_sound_that_change_inside_the_file(folder, tmp_path):
    """A larger picture and one more channel from second 3 on, as in web calls and on television: nothing moves."""
    parts = []
    for number, (size, channels, start) in enumerate((("64x48", 1, 0), ("128x96", 2, 3))):
        path = write_film(Film("ts", picture=(start, start + 3), sound=(start, start + 3), channels=channels), tmp_path)
        part = tmp_path / f"part{number}.ts"
        coding = ["-s", size, "-c:v", "libx264", "-crf", "8", "-c:a", "ac3", "-ac", channels]
        ffmpeg("-i", path, *coding, "-output_ts_offset", start, part)
        parts.append(part.read_bytes())
    whole = tmp_path / "changes.ts"
    whole.write_bytes(b"".join(parts))
    clips = cut_video(rows((whole, 2.0, 4.5), (whole, 4.3, 5.5)), folder)
    assert [clip.flags for clip in clips] == [[], []]
    for clip, start, end in zip(clips, (2.0, 4.3), (4.5, 5.5), strict=True):
        moments = read_picture(folder / clip.video)
        times = start + np.arange(round((end - start) * 30)) / 30
        np.testing.assert_allclose(moments, times, atol=0.05)
        # Joined by ffmpeg, the second part is a frame early, sound and picture together.
        for onset, second in read_beeps(folder / clip.audio):
            assert abs(start + onset + np.interp(onset + 0.05, times - start, moments - times) - second) < 0.02
        assert 4 in [second for _, second in read_beeps(folder / clip.audio)] or start > 4
        assert len(read_wav(folder / clip.audio)) == round((end - start) * 22050)


def test_the_beeps_are_where_they_should_be(tmp_path):
    """The rig's own ears."""
    sound = beeps(Film())[: 44100 * 3]
    write_wav(tmp_path / "a.wav", np.interp(np.arange(22050 * 3) * 2, np.arange(len(sound)), sound))
    found = read_beeps(tmp_path / "a.wav")
    assert [second for _, second in found] == [1, 2] or [second for _, second in found] == [0, 1, 2]
    assert all(abs(onset - second) < 0.01 for onset, second in found)
