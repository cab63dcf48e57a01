"""What is asked of the extraction, and what it reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy_clips import UNIT_BLINKS, Clip
from demo.head import FOCAL_LENGTH
from demo.pose import euler_to_rotation, similarity
from features.confidence import MINIMUM_CONFIDENCE
from features.landmarks import JAW
from features.pose import Camera
from features.shape_model import ShapeModel

WIDTH, HEIGHT = 320, 240
INNER = slice(JAW.stop, 68)
AXES = ("pitch", "yaw", "roll")
LARGEST_ANGLES = (25, 45, 25)  # degrees of pitch, yaw and roll within which the pose is judged
LANDMARK_YAW = 30  # degrees within which landmarks are judged
OPEN_EYE = 0.5  # of a blink: beyond it there is no gaze to be seen
GOOD_LANDMARKS = 0.05  # of the inter-ocular distance: what `confidence` shall tell
MOVING = ("pose", "mixture")  # parts in which the head moves
EXPRESSIVE = ("units", "mixture")  # parts in which the face moves


@dataclass(frozen=True)
class Row:
    """A line of the table; `met` is None where nothing is asked."""

    quantity: str
    measured: str
    bar: str = ""
    met: bool | None = None


def at_most(quantity: str, value: float, bar: float, unit: str, digits: int = 2, more: str = "") -> Row:
    """A line whose value must not exceed the bar (NaN does)."""
    return Row(quantity, f"{value:.{digits}f} {unit}{more}", f"<= {bar:g} {unit}", bool(value <= bar))


def at_least(quantity: str, value: float, bar: float, unit: str = "", digits: int = 2, more: str = "") -> Row:
    """A line whose value must reach the bar (NaN does not)."""
    return Row(quantity, f"{value:.{digits}f} {unit}{more}".strip(), f">= {bar:g} {unit}".strip(), bool(value >= bar))


def success_rows(whole: Clip, faceless: Clip) -> list[Row]:
    """Faces found where there are some, and where there are none."""
    share = 100 * whole.success.mean()
    kinds = sorted(set(faceless.part[faceless.success]))
    among = f" of {len(faceless)}" + (f" ({', '.join(kinds)})" if kinds else "")
    return [
        at_least("face found, of frames with one", share, 99.5, "%", more=f" of {len(whole)}"),
        at_most("face found, of frames without one", faceless.success.sum(), 0, "frames", 0, among),
    ]


def landmark_rows(clip: Clip) -> list[Row]:
    """The 68 points and the eye landmarks; whatever the frames found hold."""
    near = clip.where(clip.success & (np.abs(clip.pose[:, 1]) <= LANDMARK_YAW))
    errors, eyes = 100 * near.landmark_errors, 100 * near.eye_errors
    where = f", yaw within {LANDMARK_YAW} degrees"
    rows = [
        at_most(f"68 landmarks, inner 51{where}", errors[:, INNER].mean(), 3.5, "%"),
        at_most(f"68 landmarks, jaw 17{where}", errors[:, JAW].mean(), 7, "%"),
        *(at_most(f"28 eye landmarks, {side} eye", eyes[:, i].mean(), 3, "%") for i, side in enumerate(("left", "right"))),
    ]
    parts = {"rim of the iris": slice(0, 8), "lids": slice(8, 20), "rim of the pupil": slice(20, 28)}
    return rows + [Row(f"  of these, {name}", f"{eyes[:, :, part].mean():.2f} %") for name, part in parts.items()]


def pose_rows(whole: Clip) -> list[Row]:
    """Head pose where the head moves: mean absolute error, bias, slope; and the translation."""
    within = (np.abs(whole.pose) <= np.add(LARGEST_ANGLES, 0.01)).all(1)
    clip = whole.where(whole.success & np.isin(whole.part, MOVING) & within)
    rows = []
    for i, (axis, largest) in enumerate(zip(AXES, LARGEST_ANGLES, strict=True)):
        errors, true = clip.pose_errors[:, i], clip.pose[:, i]
        slope = np.polyfit(true, true + errors, 1)[0]
        more = f" (bias {errors.mean():+.2f}, slope {slope:.3f})"
        rows.append(at_most(f"head {axis}, to {largest} degrees", np.abs(errors).mean(), 2.5, "degrees", more=more))
    apart = np.linalg.norm(clip.block("pose_T") - clip.translation, axis=1) / np.linalg.norm(clip.translation, axis=1)
    own = [100 * apart[clip.seed == seed].mean() for seed in np.unique(clip.seed)]
    more = f" (single speakers {min(own):.1f} to {max(own):.1f})"
    return [*rows, at_most("head translation / distance", 100 * apart.mean(), 5, "%", more=more)]


def gaze_rows(whole: Clip) -> list[Row]:
    """Gaze where eyes or head move and the eyes are open, in camera axes."""
    clip = whole.where(whole.success & np.isin(whole.part, ("gaze", *MOVING)) & eyes_open(whole))
    bias = clip.gaze_angle_errors.mean(0)
    speakers = np.array([clip.gaze_angle_errors[clip.seed == seed].mean(0) for seed in np.unique(clip.seed)])
    rows = [at_most("gaze direction, mean angle of each eye", clip.gaze_errors.mean(), 6, "degrees")]
    for axis, value, own in zip(("sideways", "up and down"), bias, speakers.T, strict=True):
        more = f" ({value:+.2f}; single speakers {own.min():+.1f} to {own.max():+.1f})"
        rows.append(at_most(f"gaze, constant bias {axis}", abs(value), 2, "degrees", more=more))
    return rows


def eyes_open(clip: Clip) -> np.ndarray:
    """Frames [n] in which neither eye is shut."""
    return clip.units[:, UNIT_BLINKS].max(1) <= OPEN_EYE


def shape_rows(whole: Clip, model: ShapeModel) -> list[Row]:
    """The shape model on speakers that it was not built from, and its fit."""
    explained = 100 * explained_variance(heads_of(whole), model)
    clip = whole.where(whole.success & (np.abs(whole.pose[:, 1]) <= LANDMARK_YAW))
    camera = Camera(FOCAL_LENGTH * HEIGHT, WIDTH / 2, HEIGHT / 2)
    fitted = np.array([camera.project(points) for points in clip.block("X", "Y", "Z")])
    apart = 100 * np.linalg.norm(fitted - clip.measured_landmarks, axis=2) / clip.inter_ocular[:, None]
    off = 100 * np.linalg.norm(fitted - clip.landmarks, axis=2) / clip.inter_ocular[:, None]
    return [
        at_least("34 modes, variance of the shapes of speakers held out", explained, 98, "%"),
        at_most(
            "reprojection of the fitted shape, 68 points",
            apart.mean(),
            2,
            "%",
            more=f" (inner 51 {apart[:, INNER].mean():.2f})",
        ),
        Row("  the fitted shape from the truth, in the picture", f"{off.mean():.2f} % (inner 51 {off[:, INNER].mean():.2f})"),
    ]


def heads_of(whole: Clip) -> list[np.ndarray]:
    """The true shapes of each speaker [n, 68, 3], mm in the axes of the head, at rest first."""
    heads = []
    for seed in np.unique(whole.seed):
        clip = whole.where(whole.seed == seed)
        rotations = np.array([euler_to_rotation(*angles) for angles in np.radians(clip.pose)])
        shapes = (clip.landmarks_3d - clip.translation[:, None]) @ rotations
        heads.append(np.concatenate([shapes[clip.part == "still"][:1], shapes[np.isin(clip.part, EXPRESSIVE)]]))
    return heads


def explained_variance(heads: list[np.ndarray], model: ShapeModel) -> float:
    """Share of the variance about the model's mean that the modes hold.

    heads : of each [n, 68, 3], mm; the first one, at rest, is brought to the place, size and direction of the mean, and
        moves the others with it
    """
    mean = model.mean - model.mean.mean(0)
    modes = model.modes.reshape(len(model.modes), -1)
    total = left = 0.0
    for shapes in heads:
        centred = shapes - shapes[0].mean(0)
        scale, rotation = similarity(centred[0], mean)
        offsets = (scale * centred @ rotation.T - mean).reshape(len(shapes), -1)
        total += (offsets**2).sum()
        left += ((offsets - offsets @ modes.T @ modes) ** 2).sum()
    return 1 - left / total


def jitter_rows(whole: Clip) -> list[Row]:
    """Standard deviations over the frames of a still head, of noise alone."""
    points, poses = [], []
    for seed in np.unique(whole.seed):
        clip = whole.where((whole.seed == seed) & (whole.part == "still") & whole.success)
        points.append(np.sqrt(clip.measured_landmarks.var(0).sum(1)))
        poses.append(np.degrees(clip.block("pose_R")).std(0))
    points, poses = np.array(points), np.array(poses)
    axes = ", ".join(f"{axis} {value:.2f}" for axis, value in zip(AXES, poses.mean(0), strict=True))
    return [
        at_most(
            "jitter of a still head, landmarks", points.mean(), 0.5, "px", more=f" (worst point {points.mean(0).max():.2f})"
        ),
        at_most("jitter of a still head, pose, worst axis", poses.mean(0).max(), 0.3, "degrees", more=f" ({axes})"),
    ]


def good(clip: Clip) -> np.ndarray:
    """Frames [n] whose inner landmarks are right within `GOOD_LANDMARKS`; where there is no face they are not."""
    errors = clip.landmark_errors[:, INNER].mean(1)
    return np.nan_to_num(errors, nan=np.inf) <= GOOD_LANDMARKS


def reliability(clip: Clip, bins: int = 10) -> tuple[np.ndarray, float]:
    """What `confidence` is worth on the frames where something was found.

    Returns
    -------
    (np.ndarray [shape=(bins, 3)], float)
        Of each bin the frames in it, their mean confidence and the share of them that is `good`; and the expected
        calibration error (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3).
    """
    found = clip.where(clip.track >= 0)
    right, place = good(found), np.clip((found.confidence * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence, share = (np.bincount(place, values, bins) / count for values in (found.confidence, right))
    error = np.nansum(count / max(count.sum(), 1) * np.abs(confidence - share))
    return np.column_stack([count, confidence, share]), float(error)


def disturbed_scores(clip: Clip, correlation: Callable[[Clip], np.ndarray]) -> dict[str, float]:
    """One line of the table of disturbances; frames with less than the minimum confidence count as not found.

    correlation : the correlations of a clip's action units
    """
    accepted = clip.confidence >= MINIMUM_CONFIDENCE
    seen = clip.where(accepted)
    scores = {"found, %": 100 * accepted.mean(), "mean confidence": clip.confidence.mean()}
    if len(seen) < 2:
        return scores
    return scores | {
        "inner 51 points, %": 100 * seen.landmark_errors[:, INNER].mean(),
        "pose, degrees": np.abs(seen.pose_errors).mean(),
        "gaze, degrees": seen.gaze_errors[eyes_open(seen)].mean(),
        "AU correlation": np.nanmean(correlation(seen)),
    }
