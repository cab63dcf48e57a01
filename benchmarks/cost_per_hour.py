"""What an hour of video costs: seconds of one core and bytes for each step, from two videos of different length.

    python -m benchmarks.cost_per_hour --work /a/folder --minutes 2 10

A video of the demo is repeated, and cut into clips of 3 s without a gap, each with a sentence. The cost of an hour is
the difference of the two; what every job pays once (the start of Python, the weights of networks) is given beside it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from pipeline.sources.manifest_table import COLUMNS
from pipeline.sources.media import ffmpeg_path
from tests.faults.kill import ROOT, make_project

STEPS = ("clips", "text", "audio", "vision")
CLIP = 3.0  # s
CONFIG = """
manifest: long.csv
corpus: repeated demo video
seeds: [1]
systems: {}
"""


def make_corpus(folder: Path, minutes: list[int]) -> None:
    """A video for each length, and their manifest."""
    folder.mkdir(parents=True)
    make_project(folder)
    demo = pd.read_csv(ROOT / "data_manifest.csv")
    source = "data/demo/video_0001.mp4"
    run(folder, "tiny.yaml", source)
    texts = demo.loc[demo["video_id"] == "video_0001", "text"].tolist()
    rows = []
    for length in minutes:
        path = folder / f"{length}.mp4"
        looped = ["-stream_loop", "-1", "-i", str(folder / source), "-t", str(60 * length), "-c", "copy", str(path)]
        subprocess.run([ffmpeg_path(), "-v", "error", *looped], check=True)
        for number in range(int(60 * length / CLIP)):
            mode = ("train", "train", "train", "valid", "test")[number % 5]
            start, text = CLIP * number, texts[number % len(texts)]
            row = {"video_id": f"long_{length}", "clip_id": f"{number:04d}", "path": path, "start": start, "end": start + CLIP}
            rows.append(row | {"text": text, "mode": mode, "label": 0, "label_T": 0, "label_A": 0, "label_V": 0})
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "long.csv", index=False)
    (folder / "long.yaml").write_text(CONFIG, encoding="utf-8")


def run(folder: Path, config: str, target: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", config, "--", target]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-3000:])


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=int, nargs=2, default=[2, 10])
    arguments = parser.parse_args()
    folder, minutes = arguments.work.resolve(), arguments.minutes
    make_corpus(folder, minutes)
    run(folder, "long.yaml", "build/dataset.h5")
    hours = (minutes[1] - minutes[0]) / 60
    rows = {}
    for step in STEPS:
        times = [pd.read_csv(folder / "build" / "run_times" / step / f"long_{m}.tsv", sep="\t").iloc[0] for m in minutes]
        place = folder / "build" / ("clips" if step == "clips" else f"features/{step}")
        sizes = [size(place / (f"long_{m}" if step == "clips" else f"long_{m}.h5")) for m in minutes]
        per_hour = (times[1]["cpu_time"] - times[0]["cpu_time"]) / hours
        rows[step] = {
            "core_seconds_per_hour": per_hour,
            "core_seconds_once": times[0]["cpu_time"] - per_hour * minutes[0] / 60,
            "megabytes_per_hour": (sizes[1] - sizes[0]) / hours / 1e6,
            "memory_megabytes": times[1]["max_rss"],
        }
    join = pd.read_csv(folder / "build" / "run_times" / "dataset" / "dataset.tsv", sep="\t").iloc[0]
    rows["dataset"] = {
        "core_seconds_per_hour": join["cpu_time"] / sum(minutes) * 60,
        "megabytes_per_hour": size(folder / "build" / "dataset.h5") / sum(minutes) * 60 / 1e6,
        "memory_megabytes": join["max_rss"],
    }
    print(pd.DataFrame(rows).T.round(1).to_string())


if __name__ == "__main__":
    main()
