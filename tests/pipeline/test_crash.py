"""What killed runs leave behind: whose it is, and that nothing else is removed."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.base import crash
from pipeline.base.io import HOST, replacing, writer_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with Snakemake's lock in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crash.atexit, "register", lambda function: None)
    crash.LOCKS.mkdir(parents=True)
    (crash.LOCKS / "0.input.lock").write_text("a", encoding="utf-8")
    return tmp_path


@pytest.fixture(params=["asked for", "not asked for"])
def dead(request):
    """Number of a process that is gone, whether or not its parent has asked for its end."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if request.param == "asked for":
        process.wait()
    yield process.pid
    process.wait()


def write_note(host, process, started=1.0, folders=("build",)):
    crash.NOTES.mkdir(parents=True, exist_ok=True)
    values = {"host": host, "process": process, "started": started, "folders": list(folders)}
    (crash.NOTES / f"{host}.{process}.json").write_text(json.dumps(values), encoding="utf-8")


def lock_stands():
    return any(crash.LOCKS.glob("*.lock"))


def test_a_partial_file_names_its_writer(tmp_path):
    with replacing(tmp_path / "影片 1.truth.npz") as file, replacing(tmp_path / "12") as folder:
        assert writer_of(file) == writer_of(folder) == os.getpid()
        file.touch()
        folder.mkdir()
    assert writer_of(tmp_path / "影片 1.truth.npz") is None
    assert writer_of(tmp_path / f".a.other-{HOST}.12.partial.h5") is None
    assert writer_of(tmp_path / f"a.{HOST}.12.partial.h5") is None


def test_a_dead_run_leaves_nothing(folder, dead):
    build = folder / "build" / "runs" / "自 mm"
    build.mkdir(parents=True)
    leftovers = [build / f".a.{HOST}.{dead}.partial.h5", build / f".12.{HOST}.{dead}.partial"]
    kept = [build / f".b.{HOST}.{os.getpid()}.partial.h5", build / f".c.elsewhere.{dead}.partial.h5", build / "a.h5"]
    for path in [leftovers[0], *kept]:
        path.touch()
    leftovers[1].mkdir()
    (leftovers[1] / "metrics.json").touch()
    write_note(HOST, dead)
    lines = crash.ThisRun(["results"]).clear_up()
    assert not lock_stands() and all(path.exists() for path in kept) and not any(path.exists() for path in leftovers)
    assert len(lines) == 3 and "lock" in lines[0]
    assert [note.process for note in crash.read_notes()] == [os.getpid()]


def test_a_number_given_again_is_not_the_writer(folder, dead):
    (folder / "build").mkdir()
    old = folder / "build" / f".a.{HOST}.{os.getpid()}.partial.h5"
    old.touch()
    os.utime(old, (1.0, 1.0))
    write_note(HOST, dead)
    crash.ThisRun([]).clear_up()
    assert not old.exists()


@pytest.mark.parametrize(("host", "cure"), [(HOST, "stop it"), ("elsewhere", "delete .snakemake/runs/elsewhere")])
def test_what_may_live_keeps_its_lock(folder, host, cure, dead):
    process = os.getppid() if host == HOST else dead
    write_note(host, process, crash.start_of(process) if host == HOST else 1.0)
    (line,) = crash.ThisRun([]).clear_up()
    assert lock_stands() and str(process) in line and cure in line and "\n" not in line


def test_a_failed_run_keeps_its_note_and_a_good_one_does_not(folder):
    run = crash.ThisRun(["build"])
    run.failed = True
    run.end()
    assert run.note.path.exists()
    run.failed = False
    run.end()
    assert not run.note.path.exists()


def test_without_a_note_nothing_is_known_and_nothing_removed(folder):
    crash.NOTES.mkdir(parents=True)
    (crash.NOTES / f"{HOST}.1.json").write_text('{"host": "', encoding="utf-8")
    assert crash.ThisRun(["build"]).clear_up() == [] and lock_stands()
