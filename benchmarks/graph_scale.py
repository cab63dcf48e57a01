"""How long Snakemake takes to see what is to be done, and in how much memory, for 60, 600 and 6,000 videos.

    python -m benchmarks.graph_scale --videos 60 600 6000 --clips 50

Each line is a dry run of the first table in a folder of its own, with raw videos of no bytes: nothing is made of them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from tests.faults.kill import ROOMS, ROOT

TARGET = "results/ch_sims/sims_table2.csv"


def make_project(folder: Path, videos: int, clips: int) -> None:
    """A copy of the rooms, and a manifest of `videos` videos with `clips` clips of three seconds each."""
    for room in ROOMS:
        copy = shutil.copytree if (ROOT / room).is_dir() else shutil.copy2
        copy(ROOT / room, folder / room)
    (folder / "raw").mkdir()
    rows = []
    for number in range(videos):
        path = f"raw/v{number:05d}.mp4"
        (folder / path).touch()
        for clip in range(clips):
            mode = ("train", "train", "train", "valid", "test")[clip % 5]
            rows.append(
                (f"v{number:05d}", f"{clip:04d}", path, 3.0 * clip, 3.0 * clip + 3, mode, "今天很开心", 0.2, 0.2, 0.2, 0.2)
            )
    columns = ["video_id", "clip_id", "path", "start", "end", "mode", "text", "label", "label_T", "label_A", "label_V"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    text = (ROOT / "config" / "ch_sims.yaml").read_text(encoding="utf-8").splitlines()
    text = ["manifest: manifest.csv" if line.startswith("manifest:") else line for line in text]
    (folder / "config.yaml").write_text("\n".join(text) + "\n", encoding="utf-8")


def dry_run(folder: Path) -> tuple[float, float, int]:
    """Seconds, GB at most, and jobs."""
    command = [sys.executable, "-m", "snakemake", TARGET, "--cores", "2", "--dry-run", "--quiet", "rules", "host"]
    begun = time.monotonic()
    process = subprocess.Popen(
        [*command, "--configfile", "config.yaml"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(said[-3000:])
    jobs = next((int(line.split()[1]) for line in said.splitlines() if line.startswith("total ")), 0)
    return time.monotonic() - begun, usage.ru_maxrss / 2**20, jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=[60, 600, 6000])
    parser.add_argument("--clips", type=int, default=50, help="of each video")
    arguments = parser.parse_args()
    print("videos    clips    jobs   seconds      GB")
    for videos in arguments.videos:
        with tempfile.TemporaryDirectory() as folder:
            make_project(Path(folder), videos, arguments.clips)
            seconds, memory, jobs = dry_run(Path(folder))
            print(f"{videos:6} {videos * arguments.clips:8} {jobs:7} {seconds:9.1f} {memory:7.2f}", flush=True)


if __name__ == "__main__":
    main()
