"""A fast choice of the faults of `tests.faults.machine`; `make faults` has them all."""

import sys

import pytest

from tests.faults.machine import NotPossible, faults_of_steps, faults_of_workflow
from tests.workflow.conftest import GOOD, finished, project  # noqa: F401

STEPS = (
    "clips: disk full at 50%", "clips: ffmpeg hangs", "clips: ffmpeg stops with an error", "clips: ffmpeg is killed",
    "clips: no ffmpeg", "clips: killed with 60% of its memory", "dataset: disk full at 50%", "quality: disk full at 0%",
)  # fmt: skip
WORKFLOW = ("results can only be read", "build is a file", "a job of clips is killed")


def test_each_fault_ends_with_one_line_and_the_next_run_makes_the_same_bytes(project):  # noqa: F811
    command = [sys.executable, "-m", "snakemake", "--cores", "2", f"build/clips/{GOOD}"]
    found = dict(faults_of_steps(project.folder, GOOD, "data_manifest.csv"))
    found |= dict(faults_of_workflow(project.folder, command))
    survived = 0
    for name in (*STEPS, *WORKFLOW):
        try:
            print(f"{name}: {found[name]()}")
            survived += 1
        except NotPossible as error:
            print(f"{name}: {error}")
    print(f"{survived} of {len(found)} faults tried")
    if survived < len(STEPS) + len(WORKFLOW):
        pytest.skip(f"{survived} faults survived; for the others this machine must let file systems be mounted")
