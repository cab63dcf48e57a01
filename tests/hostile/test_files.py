"""Bad media files: each clip gets the flags that it must, no other clip suffers, nothing hangs, leaks or leads elsewhere."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.add_videos import ENDINGS
from pipeline.base.store import read_store
from pipeline.sources.clip_table import read_clips
from pipeline.sources.manifest_table import ManifestError, read_manifest
from tests.hostile.files import cases, ffmpeg, picture, sound
from tests.workflow.conftest import ROOT

SECONDS, MEGABYTES = 120, 1500  # for all clips together; measured: 6 s and 870 MB, of pictures of 8K


# Of its own memory, not by getrusage, which counts that of the process that started it.
MEASURED = """
import re, resource, runpy
runpy.run_module("pipeline.clips", run_name="__main__")
own = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
print(max(int(own[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Cases by clip, the clips that were made of them, and their folder; a good clip stands between all of them."""
    folder = tmp_path_factory.mktemp("坏 files")
    raw = folder / "raw"
    raw.mkdir()
    good = raw / "good.mp4"
    ffmpeg(good, *picture(), *sound())
    found = cases(good)
    rows = []
    for number, case in enumerate(found):
        case.make(raw / case.name)
        rows.append({"video_id": "坏", "clip_id": case.name.replace(".", "_"), "path": str(raw / case.name)})
        if number % 10 == 0:
            rows.append({"video_id": "坏", "clip_id": f"good_{number}", "path": str(good)})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    command = [sys.executable, "-c", MEASURED, "--manifest", "manifest.csv", "--video-id=坏", "--output", "clips/坏"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, env=environment())
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split()[-1]) / 1024
    changed = {path for path in folder.rglob("*") if before.get(path) != path.stat().st_mtime_ns and "clips" not in path.parts}
    assert changed <= {folder}, "files outside the folder of the clips were touched"
    print(f"{len(found)} bad files, {peak:.0f} MB")
    return {case.name.replace(".", "_"): case for case in found}, read_clips(folder / "clips" / "坏"), folder, peak


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_each_has_its_flags_and_the_good_ones_none(outcome):
    found, clips, _, _ = outcome
    assert len(found) >= 60 and len(clips) == len(found) + -(-len(found) // 10)
    wrong = []
    for clip in clips:
        if clip.clip_id.startswith("good_"):
            assert clip.flags == [] and clip.video and clip.audio
            continue
        case, flags = found[clip.clip_id], set(clip.flags)
        if not case.flags <= flags <= case.flags | case.perhaps:
            wrong.append((case.name, flags, clip.messages))
        for message in clip.messages:
            assert not flags or (f"坏/{clip.clip_id}" in message and case.name in message and "\n" not in message)
    assert not wrong, wrong


def test_memory_is_bounded(outcome):
    assert outcome[3] < MEGABYTES


def test_what_was_cut_can_be_heard(outcome):
    """Audio features of all of them, in one go."""
    _, clips, folder, _ = outcome
    command = [sys.executable, "-m", "pipeline.audio", "--clips", "clips/坏", "--output", "audio.h5"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, env=environment())
    assert done.returncode == 0, done.stderr
    store = read_store(folder / "audio.h5")
    assert list(store.clips) == [clip.clip_id for clip in clips]
    for clip in clips:
        heard = store.clips[clip.clip_id]
        assert np.isfinite(heard.values).all() and bool(len(heard.values)) == bool(clip.audio)
        assert ("no_audio" in heard.flags) == (not clip.audio)
    assert "silent" in store.clips["silent_mkv"].flags


@pytest.mark.skipif(importlib.util.find_spec("silero_vad") is None, reason="requirements-add-videos.txt is not installed")
def test_none_of_them_becomes_a_row(outcome):
    """In no file somebody speaks: each is named in one line with the cure, and no manifest is written."""
    folder = outcome[2]
    command = [sys.executable, "-m", "pipeline.add_videos", "raw", "--manifest", "mine.csv"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, env=environment())
    videos = sorted(path.name for path in (folder / "raw").iterdir() if path.suffix in ENDINGS)
    *told, last = [line.split("error: ")[1] for line in done.stderr.splitlines() if "error: " in line]
    assert done.returncode == 1 and last == f"{len(videos)} of {len(videos)} new videos could not be added; see above"
    assert [line.split(":")[0] for line in told] == [f"raw/{name}" for name in videos]
    cures = ("; replace the file", "; write its rows by hand", "; cut it into several files, or write it anew")
    assert all(any(cure in line for cure in cures) for line in told) and "Traceback" not in done.stderr
    assert not (folder / "mine.csv").exists()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x.mp4", "file:///etc/passwd", "concat:a.mp4|b.mp4", "-", "/dev/zero", "rtmp://x/y"]
)
def test_a_path_that_is_no_local_file_is_refused(tmp_path, address):
    (tmp_path / "m.csv").write_text(f'video_id,clip_id,path\nv,1,"{address}"\n', encoding="utf-8")
    with pytest.raises(ManifestError, match="path: no such file"):
        read_manifest(tmp_path / "m.csv", to_predict=True)
