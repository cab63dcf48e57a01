"""How much memory a corpus of 100,000 clips takes: to join its feature files, and to train LF-DNN and MulT on it.

    python -m benchmarks.large_dataset --clips 100000 --work /a/folder/with/30/GB

The clips have as many frames as those of CH-SIMS have in the mean (3.7 s: 20 tokens, 230 frames of sound, 110 of the face,
five of which are one). All videos point to the clips of one: what they hold is read as often as if it were theirs, and needs
no room. One epoch each; MulT is small, since its size is not what is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from pipeline.base.store import ClipFeatures, StoreAttributes, new_store, write_store
from pipeline.sources.manifest_table import COLUMNS

SHAPES = {"text": (20, 768), "audio": (230, 33), "vision": (110, 709)}
CLIPS_OF_A_VIDEO = 50
SYSTEMS = {
    "lf_dnn": {"max_epochs": 1},
    "mult": {"max_epochs": 1, "width": 8, "heads": 2, "layers": 1, "batch_size": 32, "accumulate": 1},
}


def make_corpus(folder: Path, clips: int) -> None:
    """Feature files and clip tables of `clips` clips, and their manifest."""
    random = np.random.default_rng(0)
    names = [f"{number:04d}" for number in range(CLIPS_OF_A_VIDEO)]
    videos = [f"v{number:06d}" for number in range(clips // CLIPS_OF_A_VIDEO)]
    for modality, (frames, columns) in SHAPES.items():
        settings = {"encoder": "none"} if modality == "text" else {}
        attributes = StoreAttributes([f"c{i}" for i in range(columns)], ["1"] * columns, 30.0, "random", settings)
        lengths = random.integers(frames // 2, frames * 3 // 2, len(names))
        whole = [ClipFeatures(random.normal(size=(length, columns)).astype(np.float32)) for length in lengths]
        shared = folder / f"{modality}.h5"
        write_store(shared, zip(names, whole, strict=True), attributes)
        for video_id in videos:
            path = folder / "features" / modality / f"{video_id}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with new_store(path, attributes) as file:
                for name in names:
                    file[name] = h5py.ExternalLink(str(shared), name)
    rows = []
    for number, video_id in enumerate(videos):
        (folder / "clips" / video_id).mkdir(parents=True)
        table = pd.DataFrame({"clip_id": names, "video": "", "audio": "", "flags": "", "message": ""})
        table.to_csv(folder / "clips" / video_id / "clips.csv", index=False)
        mode = ("train", "train", "train", "valid", "test")[number % 5]
        rows += [{"video_id": video_id, "clip_id": name, "path": "x.mp4", "mode": mode} for name in names]
    manifest = pd.DataFrame(rows, columns=COLUMNS)
    manifest[["label", "label_T", "label_A", "label_V"]] = random.integers(-5, 6, (len(manifest), 4)) / 5
    manifest.to_csv(folder / "manifest.csv", index=False)


def measure(title: str, command: list) -> None:
    """Run a command and print how long it took, and the most memory it had."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *map(str, command)], env={**os.environ, "TQDM_DISABLE": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{title} failed")
    print(f"{title:28} {time.monotonic() - begun:7.0f} s {usage.ru_maxrss / 2**20:7.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--work", type=Path, required=True, help="empty folder")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True)
    make_corpus(work, arguments.clips)
    dataset = work / "dataset.h5"
    join = ["pipeline.dataset", "--manifest", work / "manifest.csv", "--features", work / "features", "--clips", work / "clips"]
    measure(f"join {arguments.clips} clips", [*join, "--corpus", "random", "--output", dataset])
    print(f"dataset.h5 has {dataset.stat().st_size / 2**30:.1f} GB", flush=True)
    for system, values in SYSTEMS.items():
        train = ["pipeline.train", "--dataset", dataset, "--system", system, "--config", f"config/models/{system}.yaml"]
        train += ["--override", json.dumps(values), "--seeds", 1, "--output", work / "runs" / system]
        measure(f"train {system}, one epoch", train)


if __name__ == "__main__":
    main()
