"""A manifest for a folder of videos: the borders of what is said, and nothing of what a person has written is touched."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from demo.speech import Prosody, speak
from pipeline import add_videos
from pipeline.add_videos import name_for
from pipeline.base.command import UserError
from pipeline.sources.manifest_file import read_lines
from pipeline.sources.manifest_table import COLUMNS, draft_count, read_manifest, rows_of_all
from pipeline.sources.media import ffmpeg_path
from tests.sound import write_wav

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("silero_vad") is None, reason="requirements-add-videos.txt is not installed"
)
SENTENCES = ["难道你不觉得这次的接待非常贴心吗", "太过分了，孩子的表现太糟糕了", "医生说不用再吃药了，爷爷特别幸福"]
RATE = 22050


def film(path, pauses, voice="cmn+f2", picture=True):
    """A video in which the sentences are said after these pauses (s); start and end of each sentence."""
    parts, borders, time = [], [], 0.0
    for pause, text in zip(pauses, SENTENCES * 9, strict=False):
        samples, _ = speak(text, Prosody(voice, 50, 50, 220, -24.0))
        parts += [np.zeros(round(pause * RATE)), samples]
        borders.append((time + pause, time + pause + len(samples) / RATE))
        time = borders[-1][1]
    sound = np.concatenate([*parts, np.zeros(RATE)])
    write_wav(wav := path.with_suffix(".wav"), sound)
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-i", str(wav)]
    if picture:
        command += ["-f", "lavfi", "-i", f"color=gray:size=64x48:rate=10:duration={len(sound) / RATE}"]
    subprocess.run([*command, "-c:a", "aac", "-b:a", "96k", str(path)], check=True)
    wav.unlink()
    return borders


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder with two films, one of them in a folder of its own, and what is said in them."""
    folder = tmp_path_factory.mktemp("影片 films")
    (folder / "二").mkdir()
    return folder, {
        "a b": film(folder / "a b.mp4", (0.6, 1.0, 0.8, 2.0)),
        "乙": film(folder / "二" / "乙.mp4", (0.5, 0.7, 1.5), voice="cmn+m3"),
    }


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["add_videos", *map(str, arguments)])
        add_videos.main()


def test_borders_are_found_rows_are_kept_and_twice_is_once(films, tmp_path, capsys):
    folder, said = films
    manifest = tmp_path / "mine.csv"
    run(folder, "--manifest", manifest)
    assert "7 clips of 2 new videos; fill in text, labels and mode" in capsys.readouterr().out
    table = rows_of_all(manifest)
    assert list(read_lines(manifest)[0].cells) == COLUMNS and set(table["video_id"]) == set(said)
    found = {name: rows[["start", "end"]].to_numpy() for name, rows in table.groupby("video_id")}
    errors = np.concatenate([np.abs(found[name] - np.array(borders)).ravel() for name, borders in said.items()])
    assert (errors < 0.3).mean() >= 0.9, errors
    assert (table["text"] == "").all() and table["label"].isna().all()
    read_manifest(manifest, to_predict=True)  # predictions need no more

    assert manifest.read_bytes().startswith(b"\xef\xbb\xbf")  # by which a spreadsheet knows that it is UTF-8
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1] = lines[1].replace(",,,,,,", ",说了一句话,0.4,,,,train")
    del lines[3]  # a clip that the person did not want
    edited = "".join(lines)
    manifest.write_text(edited, encoding="utf-8")
    run(folder, "--manifest", manifest)
    assert manifest.read_text(encoding="utf-8") == edited


def test_new_videos_come_below_in_the_files_own_form(films, tmp_path):
    folder, _ = films
    manifest = tmp_path / "m.csv"
    row = "甲,1,a.mp4,0,2,很好,1,,,,train\r\n"
    manifest.write_bytes(("\ufeff" + ",".join(COLUMNS) + "\r\n" + row.rstrip()).encode("utf-16-le"))
    before = manifest.read_bytes()
    run(folder / "二", "--manifest", manifest)
    assert manifest.read_bytes().startswith(before + "\r\n".encode("utf-16-le"))
    table = rows_of_all(manifest)
    assert table["video_id"].tolist() == ["甲", "乙", "乙", "乙"] and table["text"].tolist()[:2] == ["很好", ""]


def test_what_cannot_be_heard_is_named_and_the_others_go_on(films, tmp_path, capsys, make_video):
    folder = tmp_path / "v"
    folder.mkdir()
    film(folder / "good.mkv", (0.5, 0.7))
    (folder / "broken.mp4").write_text("no video")
    make_video("v/mute.mp4", audio=False)
    make_video("v/tone.mp4")
    (folder / "note.txt").write_text("no video, and not called one")
    with pytest.raises(UserError, match=r"^3 of 4 new videos could not be added; see above$"):
        run(folder, "--manifest", tmp_path / "m.csv")
    said = capsys.readouterr().err
    assert "broken.mp4: it cannot be read" in said and "mute.mp4: it has no sound" in said
    assert "tone.mp4: nobody speaks in it" in said
    assert set(rows_of_all(tmp_path / "m.csv")["video_id"]) == {"good"}


def test_names():
    assert name_for(Path("x/a:b?.mp4"), set()) == "a_b_"
    assert name_for(Path("好.mp4"), {"好", "好_2"}) == "好_3"
    assert name_for(Path("y/.....mp4"), set()) == "video"
    assert len(name_for(Path("字" * 80 + ".mp4"), set()).encode()) <= 170
    assert name_for(Path("cafe\u0301.mp4"), set()) == "café"  # as macOS writes it
    assert name_for(Path("Talk.mp4"), {"talk"}) == "Talk_2"


def test_a_name_that_no_manifest_can_hold_is_told(films, tmp_path, capsys):
    folder, _ = films
    for name in (b"a\nb.mp4", b"\xff.mp4"):  # the second is no UTF-8
        (tmp_path / os.fsdecode(name)).write_bytes((folder / "a b.mp4").read_bytes())
    with pytest.raises(UserError, match="2 of 2 new videos"):
        run(tmp_path, "--manifest", tmp_path / "m.csv")
    said = capsys.readouterr().err
    assert said.count("which no manifest can hold; rename the file") == 2 and not (tmp_path / "m.csv").exists()


def test_sound_that_pauses_for_long_stays_where_it_is(films, tmp_path, monkeypatch):
    """A portion without any sound counts; a file may have none for a while."""
    folder, said = films
    monkeypatch.setattr(add_videos, "PORTION", 4 * 16000 // 512 * 512)
    gap = tmp_path / "v" / "gap.mkv"
    gap.parent.mkdir()
    film = str(folder / "a b.mp4")
    delayed = ["-itsoffset", "20", "-i", film, "-map", "0:v", "-map", "1:a", "-c", "copy", str(gap)]
    subprocess.run([ffmpeg_path(), "-y", "-loglevel", "error", "-i", film, *delayed], check=True)
    run(gap.parent, "--manifest", tmp_path / "m.csv")
    found = rows_of_all(tmp_path / "m.csv")[["start", "end"]].to_numpy()
    np.testing.assert_allclose(found, np.array(said["a b"]) + 20, atol=0.3)


@pytest.mark.parametrize("content", [",".join(COLUMNS), ",".join(COLUMNS) + "\n"])
def test_a_manifest_that_has_no_row_yet(films, tmp_path, content):
    (tmp_path / "m.csv").write_text(content)
    run(films[0] / "二", "--manifest", tmp_path / "m.csv")
    assert len(rows_of_all(tmp_path / "m.csv")) == 3


def test_drafts_are_marked_and_counted(films, tmp_path, monkeypatch):
    folder, _ = films
    manifest = tmp_path / "m.csv"
    run(folder / "二", "--manifest", manifest)
    heard = []
    monkeypatch.setattr(add_videos, "whisper", lambda folder: lambda samples: heard.append(len(samples)) or '说, "好"')
    run(folder, "--manifest", manifest, "--transcribe", "a model")
    table = rows_of_all(manifest)
    assert table["text"].tolist() == [""] * 3 + ['说, "好"'] * 4 and draft_count(manifest) == 4
    np.testing.assert_allclose(heard, (table["end"] - table["start"])[3:] * 16000, atol=1)


def test_a_column_for_drafts_changes_nothing_else(films, tmp_path, monkeypatch):
    manifest = tmp_path / "m.csv"
    text = "\ufeff" + ",".join(COLUMNS) + '\r\n甲,1,a.mp4,0,2,"他说,\r\n""好""",1,,,,train\r\n乙,"1",b.mp4,0,2,,,,,,"test"'
    manifest.write_bytes(text.encode("utf-16-be"))
    monkeypatch.setattr(add_videos, "whisper", lambda folder: lambda samples: "好")
    run(films[0] / "二", "--manifest", manifest, "--transcribe", "a model")
    written = manifest.read_bytes().decode("utf-16-be")
    expected = text.replace("mode\r\n", "mode,draft\r\n").replace("train\r\n", "train,\r\n") + ",\r\n"
    assert written.startswith(expected) and written.removeprefix(expected).count(",好,,,,,,text\r\n") == 3
    assert draft_count(manifest) == 3 and rows_of_all(manifest)["text"][0] == '他说,\r\n"好"'


def test_what_drafting_lacks_is_told(films, tmp_path, monkeypatch):
    def told():
        with pytest.raises(UserError) as error:
            run(films[0], "--manifest", tmp_path / "m.csv", "--transcribe", tmp_path)
        assert not (tmp_path / "m.csv").exists()
        return str(error.value)

    for name in ("model.bin", "config.json", "tokenizer.json"):
        assert f"no {name} in it; give the folder of a Whisper model" in told()
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert told() == "faster-whisper, which drafts the texts, is not installed: pip install faster-whisper==1.2.1"

    def refuses(*arguments, **options):
        raise RuntimeError("Unsupported model binary version")

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=refuses))
    assert "no model that faster-whisper can read (Unsupported model binary version); get it anew" in told()
