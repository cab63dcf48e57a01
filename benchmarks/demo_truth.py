"""The features of the demo corpus against its ground truth; run it after the workflow.

    .venv/bin/python -m benchmarks.demo_truth --manifest data_manifest.csv --build build --truth data/demo

Prints the share of frames with a face; the correlation of head pose and gaze with the truth (`frame` coordinates, so
the vision features are extracted anew, one process per video); and for each speaker Spearman's correlation of a clip's
median F0 with its pitch setting.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from features.openface import COLUMNS
from features.vision import VisionModels, extract_vision
from pipeline.clips import read_clips
from pipeline.store import read_store
from pipeline.vision import read_frames

POSE = {"pitch": "pose_Rx", "yaw": "pose_Ry", "roll": "pose_Rz"}


def compare_vision(video_id: str, rows: pd.DataFrame, build: Path, truth: dict) -> pd.DataFrame:
    """Per frame of one video: found, and measured and true pose and gaze angles (radians)."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    models = VisionModels()
    starts = dict(zip(rows["clip_id"], rows["start"], strict=True))
    tables = []
    for clip in read_clips(build / "clips" / video_id):
        found = extract_vision(read_frames(build / "clips" / video_id / clip.video), models, coordinates="frame")
        frames = round(30 * starts[clip.clip_id]) + np.arange(len(found.values))
        frames = np.minimum(frames, len(truth["head_pose"]) - 1)
        table = pd.DataFrame({"video_id": video_id, "success": found.success})
        for i, (name, column) in enumerate(POSE.items()):
            table[name] = found.values[:, COLUMNS.index(column)]
            table[f"true_{name}"] = truth["head_pose"][frames, i]
        gaze = truth["gaze"][frames].mean(1)
        for i, axis in enumerate("xy"):
            table[f"gaze_{axis}"] = found.values[:, COLUMNS.index(f"gaze_angle_{axis}")]
            table[f"true_gaze_{axis}"] = np.arctan2(gaze[:, i], -gaze[:, 2])
        tables.append(table)
    return pd.concat(tables)


def compare_pitch(video_id: str, build: Path, truth: dict) -> float:
    """Spearman's correlation of the clips' median F0 with their pitch settings."""
    clips = read_store(build / "features" / "audio" / f"{video_id}.h5").clips
    f0 = [np.median(clip.values[clip.values[:, 0] > 0, 0]) for clip in clips.values()]
    settings = dict(zip(truth["clip_id"], truth["pitch"], strict=True))
    return spearmanr(f0, [settings[clip_id] for clip_id in clips]).statistic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", default="data_manifest.csv")
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--truth", type=Path, default=Path("data/demo"))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    manifest = pd.read_csv(arguments.manifest, dtype={"video_id": str, "clip_id": str})
    truths = {video_id: dict(np.load(arguments.truth / f"{video_id}.truth.npz")) for video_id in manifest["video_id"].unique()}
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [
            pool.submit(compare_vision, video_id, rows, arguments.build, truths[video_id])
            for video_id, rows in manifest.groupby("video_id")
        ]
        vision = pd.concat(job.result() for job in jobs)
    print(f"face found in {100 * vision.success.mean():.2f} % of {len(vision)} frames")
    seen = vision[vision.success]
    for name in [*POSE, "gaze_x", "gaze_y"]:
        measured, true = np.degrees(seen[name]), np.degrees(seen[f"true_{name}"])
        videos = [np.corrcoef(group[name], group[f"true_{name}"])[0, 1] for _, group in seen.groupby("video_id")]
        print(
            f"{name:7s} r = {np.corrcoef(measured, true)[0, 1]:.3f} (single videos {min(videos):.3f} to {max(videos):.3f}), "
            f"mean absolute error {np.abs(measured - true).mean():.2f} degrees, bias {(measured - true).mean():+.2f}, "
            f"truth from {true.min():.1f} to {true.max():.1f}"
        )
    pitch = [compare_pitch(video_id, arguments.build, truth) for video_id, truth in truths.items()]
    print(f"median F0 against pitch setting, Spearman within a speaker: {min(pitch):.3f} to {max(pitch):.3f}")


if __name__ == "__main__":
    main()
