"""The F0 of the audio features against the pitch setting of the demo corpus's speech; run it after the workflow.

    .venv/bin/python -m benchmarks.audio_accuracy --manifest data_manifest.csv --build build --truth data/demo

Prints for each speaker Spearman's correlation of a clip's median F0 with its pitch setting. For the face see
`benchmarks.vision_accuracy`.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from pipeline.base.store import read_store


def compare_pitch(video_id: str, build: Path, truth: Path) -> float:
    """Spearman's correlation of the median F0 of a video's clips with their pitch settings."""
    clips = read_store(build / "features" / "audio" / f"{video_id}.h5").clips
    with np.load(truth / f"{video_id}.truth.npz") as arrays:
        settings = dict(zip(arrays["clip_id"], arrays["pitch"], strict=True))
    f0 = [np.median(clip.values[clip.values[:, 0] > 0, 0]) for clip in clips.values()]
    return spearmanr(f0, [settings[clip_id] for clip_id in clips]).statistic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", default="data_manifest.csv")
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--truth", type=Path, default=Path("data/demo"))
    arguments = parser.parse_args()
    videos = pd.read_csv(arguments.manifest, dtype=str)["video_id"].unique()
    related = {video_id: compare_pitch(video_id, arguments.build, arguments.truth) for video_id in videos}
    for video_id, value in related.items():
        print(f"{video_id}: median F0 against pitch setting, Spearman {value:.3f}")
    print(f"over {len(related)} speakers: {min(related.values()):.3f} to {max(related.values()):.3f}")


if __name__ == "__main__":
    main()
