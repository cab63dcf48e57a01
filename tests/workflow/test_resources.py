"""Every job says what it needs of a machine, more of it at a second attempt and for more minutes; GPUs where there are any."""

import re
import subprocess
import sys

import pytest
import yaml

TOO_SMALL_TO_ASK = {"all", "ci", "report"}


def planned(folder, *arguments):
    """Of every job of the plan its rule and what it asks for."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs, rule = [], None
    for line in (done.stdout + done.stderr).splitlines():
        if found := re.match(r"(?:local)?rule (\w+):", line):
            rule = found[1]
            jobs.append((rule, {}))
        elif line.startswith("    resources: "):
            jobs[-1][1].update(item.split("=", 1) for item in line.removeprefix("    resources: ").split(", "))
    return jobs


@pytest.fixture
def jobs(demo_project):
    return planned(demo_project)


def test_every_job_asks_for_memory_and_minutes(jobs):
    assert len({rule for rule, _ in jobs}) > 12
    for rule, asked in jobs:
        if rule not in TOO_SMALL_TO_ASK:
            assert {"mem_mb", "runtime"} <= set(asked), rule


def test_no_job_asks_for_a_gpu_unless_there_are_some(demo_project, jobs):
    assert not any("gpu" in asked for _, asked in jobs)
    asking = {rule for rule, asked in planned(demo_project, "--config", "gpu=1") if asked.get("gpu") == "1"}
    assert asking == {"train", "text"}


def test_more_minutes_of_a_video_ask_for_more(demo_project, jobs):
    path = demo_project / "data_manifest.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("end")
    for number, line in enumerate(lines[1:], start=1):
        cells = line.split(",")
        if cells[0] == "video_0001":
            cells[column] = str(float(cells[column]) + 6000)
            lines[number] = ",".join(cells)
            break
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = {asked["mem_mb"] for rule, asked in jobs if rule == "vision"}
    after = {asked["mem_mb"] for rule, asked in planned(demo_project) if rule == "vision"}
    assert max(map(int, after)) > max(map(int, before)) + 1000


def test_the_machine_s_memory_limits_what_runs_together_not_whether_it_runs(demo_project):
    assert len(planned(demo_project, "--resources", "mem_mb=2000")) > 100


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_profile_groups_rules_that_there_are(demo_project, jobs, name):
    profile = yaml.safe_load((demo_project / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
    assert set(profile["groups"]) <= {rule for rule, _ in jobs}
    assert set(profile["group-components"]) == set(profile["groups"].values())
