"""Two projects with the same corpus, one video with three clips, to be run in two ways and compared byte for byte."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.kill import TARGETS, make_project
from tests.faults.machine import contents

CODE = "models/lf_dnn.py"
RESULTS = ("build/", "results/")


def run(project: Path, *arguments: str) -> str:
    """Run Snakemake; returns what it said. Raises SystemExit if it fails."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def make_pair(folder: Path) -> tuple[Path, Path]:
    """Both look for the video in the first one's folder, as for one's own videos; the first one's results are made."""
    projects = folder / "here", folder / "there"
    for project in projects:
        project.mkdir()
        make_project(project)
    video = "data/demo/video_0001.mp4"
    run(projects[0], "--cores", "2", "--", video)
    for project in projects:
        table, config = project / "tiny.csv", project / "tiny.yaml"
        table.write_text(table.read_text(encoding="utf-8").replace(video, str(projects[0] / video)), encoding="utf-8")
        lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
        config.write_text("".join(line for line in lines if not line.startswith("demo:")), encoding="utf-8")
    run(projects[0], "--cores", "2", "--", *TARGETS)
    return projects


def same_bytes(here: Path, there: Path, rooms: tuple[str, ...] = RESULTS) -> bool:
    """Compare what was made, and say how much it is."""
    found = [
        {name: digest for name, digest in contents(folder).items() if name.startswith(rooms) and "run_times" not in name}
        for folder in (here, there)
    ]
    differing = sorted(name for name in {*found[0], *found[1]} if found[0].get(name) != found[1].get(name))
    print(f"{len(found[0])} files compared, {len(differing)} with other bytes {differing[:5]}")
    return not differing


def nothing_again(project: Path, *options: str) -> bool:
    """Whether a second call has nothing to do."""
    nothing = "Nothing to be done" in run(project, *options, "--dry-run", "--", *TARGETS)
    print(f"nothing to be done again: {nothing}")
    return nothing


def edit(project: Path) -> None:
    with (project / CODE).open("a", encoding="utf-8") as file:
        file.write("# edited\n")


def one_run_again(project: Path, *options: str) -> bool:
    """Whether the edited system, and it alone, will be trained again."""
    said = run(project, *options, "--dry-run", "--", *TARGETS)
    rules = sorted(re.findall(r"^(?:local)?rule (\w+):$", said, flags=re.MULTILINE))
    print(f"{CODE} was edited: {rules} will run")
    return rules == ["train"]
