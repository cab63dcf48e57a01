"""Kill the workflow at random moments, run it again without a hand, and compare every byte with an undisturbed run.

    python -m tests.faults.kill --faults 100

The corpus is one video of the demo with three clips; what is made is the data set, a trained system and the list of flags. A
fault is one of: SIGKILL to all processes of the run, to one of its jobs, to Snakemake alone; SIGINT; SIGTERM. After each the
same command is given again, which is disturbed in turn or left alone.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ROOMS = ["Snakefile", "workflow", "profiles", "config", "pipeline", "features", "models", "demo"]
ROOMS += ["requirements.txt", "requirements-no-deps.txt"]
TARGETS = ["build/runs/lf_dnn/1", "build/runs/tfn/1", "results/quality.csv"]
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "2", *TARGETS, "--configfile", "tiny.yaml"]
TINY = """
manifest: tiny.csv
corpus: tiny
demo: {folder: data/demo, videos: 1, clips: 3, seed: 0}
seeds: [1]
systems: {lf_dnn: {max_epochs: 3}, tfn: {max_epochs: 2, hidden: {text: 16, audio: 8, vision: 16}, text_out: 8}}
"""
LONGEST = 300  # s that a run may take


def make_project(folder: Path) -> None:
    """A copy of the rooms with a corpus of three clips, one of each split."""
    for room in ROOMS:
        copy = shutil.copytree if (ROOT / room).is_dir() else shutil.copy2
        copy(ROOT / room, folder / room)
    lines = (ROOT / "data_manifest.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.rsplit(",", 1)[0] + f",{mode}" for line, mode in zip(lines[1:4], ("train", "valid", "test"), strict=True)]
    # The system needs two clips to train on: the first one counts twice, under another name.
    rows.append(rows[0].replace(",0001,", ",0001b,", 1))
    (folder / "tiny.csv").write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")


def start(folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    log = (folder / "run.log").open("w", encoding="utf-8")
    return subprocess.Popen(COMMAND, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True)


def outputs(folder: Path) -> dict[str, str]:
    """sha256 of every final file; names that begin with a dot are the program's own, run_times tells of the machine."""
    found = {}
    for room in ("data", "build", "results"):
        for path in sorted((folder / room).rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and "run_times" not in name.parts and not any(part.startswith(".") for part in name.parts):
                found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    return [str(path) for room in ("data", "build", "results") for path in (folder / room).rglob(".*.partial*")]


def disturb(run: subprocess.Popen, kind: str) -> None:
    """One fault; waits until no process of the run is left."""
    try:
        main = psutil.Process(run.pid)
        jobs = main.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    if kind == "kill all":
        os.killpg(run.pid, signal.SIGKILL)
    elif kind == "kill a job" and jobs:
        random.choice(jobs).kill()
    elif kind == "kill snakemake":
        main.kill()
    elif kind in ("SIGINT", "SIGTERM"):
        os.kill(run.pid, getattr(signal, kind))
    try:
        run.wait(LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        raise SystemExit(f"after {kind} the run hung for {LONGEST} s") from None
    psutil.wait_procs(jobs, timeout=60)


KINDS = ("kill all", "kill a job", "kill snakemake", "SIGINT", "SIGTERM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        calm = Path(temporary) / "calm"
        calm.mkdir()
        make_project(calm)
        begun = time.monotonic()
        if start(calm).wait(LONGEST):
            raise SystemExit((calm / "run.log").read_text(encoding="utf-8")[-3000:])
        duration, expected = time.monotonic() - begun, outputs(calm)
        print(f"undisturbed: {duration:.0f} s, {len(expected)} files", flush=True)
        rounds = 0
        while sum(counts.values()) < arguments.faults:
            rounds += 1
            folder = Path(temporary) / f"round {rounds}"
            folder.mkdir()
            make_project(folder)
            for _ in range(5):
                run, kind = start(folder), random.choice(KINDS)
                time.sleep(random.uniform(0.5, duration / 2))
                disturb(run, kind)
                counts[kind] += 1
            last = start(folder)
            if last.wait(LONGEST):
                raise SystemExit("the last run failed:\n" + (folder / "run.log").read_text(encoding="utf-8")[-3000:])
            found = outputs(folder)
            differing = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
            if differing or leftovers(folder):
                raise SystemExit(f"round {rounds}: differing {differing[:5]}, left over {leftovers(folder)[:5]}")
            shutil.rmtree(folder)
            print(f"{sum(counts.values())} faults survived, every byte equal", flush=True)
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
