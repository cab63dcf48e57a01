"""A second opinion on the 68 points: dlib's shape predictor (Kazemi & Sullivan, CVPR 2014), trained on people's photographs.

It is told where the face is and sees frontal faces at rest only; all that it shall say is whether the vertices of the
heads that serve as the truth lie where people who annotate photographs put the points.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy_clips import Clip
from demo.head import Frame

INSTALL = "pip install --no-deps --requirement requirements-benchmarks.txt"
LARGEST_TURN = 10.0  # degrees
GROUPS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
    "inner 51": slice(17, 68),
}


@dataclass(frozen=True)
class SecondOpinion:
    """Points of n frames [n, 68, 2] from the true ones, in parts of the inter-ocular distance, upright."""

    dlib: np.ndarray
    ours: np.ndarray


def model_path() -> Path | None:
    """Where the wheel `face-recognition-models` keeps dlib's predictor; None where it or dlib is not installed."""
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or importlib.util.find_spec("dlib") is None:
        return None
    path = Path(package.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"
    return path if path.is_file() else None


def second_opinion(frames: list[Frame], clip: Clip) -> SecondOpinion | None:
    """dlib's and our points against the truth on the near-frontal faces at rest among frames; None without dlib."""
    path = model_path()
    if path is None:
        return None
    import dlib

    predictor = dlib.shape_predictor(str(path))
    chosen = np.flatnonzero((clip.part == "pose") & (np.abs(clip.pose).max(1) <= LARGEST_TURN) & clip.success)
    theirs = []
    for i in chosen:
        low, high = frames[i].landmarks_2d.min(0), frames[i].landmarks_2d.max(0)
        half = (high - low).max() / 2
        corners = np.concatenate([(low + high) / 2 - half, (low + high) / 2 + half])
        found = predictor(frames[i].image, dlib.rectangle(*np.int32(np.round(corners)).tolist()))
        theirs.append([[point.x + 0.5, point.y + 0.5] for point in found.parts()])  # ours count from the pixels' corners
    seen = clip.where(chosen)
    return SecondOpinion(upright(np.array(theirs), seen), upright(seen.measured_landmarks, seen))


def upright(points: np.ndarray, clip: Clip) -> np.ndarray:
    """Points [n, 68, 2] from the true ones, x along the line through the eyes, in parts of the inter-ocular distance."""
    along = clip.landmarks[:, 45] - clip.landmarks[:, 36]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], 1)], 2)
    return (points - clip.landmarks) @ axes / clip.inter_ocular[:, None, None]


def table(opinions: list[SecondOpinion]) -> list[list[str]]:
    """Rows: group, mean offset of dlib from the truth (x, y), distances dlib - truth, dlib - ours, ours - truth, in percent."""
    dlib = 100 * np.concatenate([opinion.dlib for opinion in opinions])
    ours = 100 * np.concatenate([opinion.ours for opinion in opinions])
    rows = []
    for name, group in GROUPS.items():
        x, y = dlib[:, group].mean((0, 1))
        distances = [np.linalg.norm(apart[:, group], axis=2).mean() for apart in (dlib, dlib - ours, ours)]
        rows.append([name, f"{x:+.1f}, {y:+.1f}", *(f"{distance:.1f}" for distance in distances)])
    return rows
