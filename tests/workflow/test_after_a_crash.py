"""A run is killed outright; the next one needs no hand."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.workflow.conftest import ROOT

TARGET = "data/demo/video_0001.mp4"
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "1", TARGET, "--configfile", "tiny.yaml"]
TINY = """
manifest: tiny.csv
corpus: tiny
demo: {folder: data/demo, videos: 1, clips: 1, seed: 0}
seeds: [1]
systems: {}
"""


def wait_for(pattern, folder, seconds=60):
    """Until a file matches; its path."""
    for _ in range(10 * seconds):
        if found := next(folder.glob(pattern), None):
            return found
        time.sleep(0.1)
    pytest.fail(f"no {pattern} after {seconds} s")


def test_the_run_after_a_killed_one_needs_no_hand(empty_project):
    settings = {"cwd": empty_project, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    (empty_project / "tiny.yaml").write_text(TINY, encoding="utf-8")
    lines = (ROOT / "data_manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (empty_project / "tiny.csv").write_text("".join(lines[:2]), encoding="utf-8")
    first = subprocess.Popen(COMMAND, start_new_session=True, **settings)
    partial = wait_for("data/demo/.*.partial*", empty_project)
    os.killpg(first.pid, signal.SIGSTOP)  # so that it is not done before the others have looked
    second = subprocess.run(COMMAND, **settings)
    assert second.returncode != 0
    assert f"process {first.pid} runs the workflow in this folder: wait for its end, or stop it" in second.stdout
    assert partial.exists()
    assert subprocess.run([*COMMAND, "--dry-run"], **settings).returncode == 0
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert partial.exists() and any((empty_project / ".snakemake/locks").iterdir())
    third = subprocess.run(COMMAND, **settings)
    assert third.returncode == 0, third.stdout
    assert "the lock of a run that was killed is removed" in third.stdout
    assert not list(empty_project.glob("data/demo/.*.partial*")) and (empty_project / TARGET).exists()
    assert not list((empty_project / ".snakemake/runs").iterdir())
