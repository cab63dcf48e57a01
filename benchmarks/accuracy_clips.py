"""What the extraction measures on rendered pictures of known truth, clip by clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from demo.calibration import Shot
from demo.head import Frame, Head
from demo.mesh import unit_names
from features.action_units import neutral_of
from features.openface import N_EYE_LANDMARKS, N_LANDMARKS, block_slice
from features.vision import ACTION_UNITS, VisionFeatures, VisionModels, action_unit_columns, extract_vision

OUTER_EYE_CORNERS = (36, 45)  # of the 68 points
UNIT_BLINKS = [unit_names().index(f"eyeBlink{side}") for side in ("Left", "Right")]
COORDINATES = "frame"


@dataclass(frozen=True)
class Clip:
    """n frames: what was measured, and what is true of them; NaN is the truth of a frame without a face.

    part, driven : str [n], of the calibration set (`demo.calibration.Shot`)
    seed : int [n], the speaker
    landmarks [n, 68, 2], eyes [n, 2, 28, 2] : true points, pixels
    landmarks_3d : [n, 68, 3], true points, camera axes, mm
    inter_ocular : [n], pixels: length of the line between the outer corners of the eyes, seen from the front
    pose : [n, 3], degrees, (pitch, yaw, roll); translation : [n, 3], mm
    gaze : [n, 2, 3], unit vectors
    units : [n, 52], amplitudes of the face units
    values : [n, 709], the columns; success : bool [n]; confidence, track : [n]
    intensities : [n, 17], of the action units counted from the population's neutral face, not from the speaker's own
    """

    part: np.ndarray
    driven: np.ndarray
    seed: np.ndarray
    landmarks: np.ndarray
    eyes: np.ndarray
    landmarks_3d: np.ndarray
    inter_ocular: np.ndarray
    pose: np.ndarray
    translation: np.ndarray
    gaze: np.ndarray
    units: np.ndarray
    values: np.ndarray
    success: np.ndarray
    confidence: np.ndarray
    track: np.ndarray
    intensities: np.ndarray

    def __len__(self) -> int:
        return len(self.success)

    def where(self, chosen: np.ndarray) -> Clip:
        """The frames of a mask or of numbers."""
        return Clip(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def block(self, *names: str) -> np.ndarray:
        """Measured columns of blocks of equal width [shape=(n, width, blocks)], of one block [shape=(n, width)]."""
        columns = np.stack([self.values[:, block_slice(name)] for name in names], 2)
        return columns[:, :, 0] if len(names) == 1 else columns

    @property
    def measured_landmarks(self) -> np.ndarray:
        """[n, 68, 2], pixels."""
        return self.block("x", "y").reshape(-1, N_LANDMARKS, 2)

    @property
    def measured_eyes(self) -> np.ndarray:
        """[n, 2, 28, 2], pixels."""
        return self.block("eye_lmk_x", "eye_lmk_y").reshape(-1, 2, N_EYE_LANDMARKS // 2, 2)

    @property
    def landmark_errors(self) -> np.ndarray:
        """[n, 68], in parts of the inter-ocular distance."""
        return np.linalg.norm(self.measured_landmarks - self.landmarks, axis=2) / self.inter_ocular[:, None]

    @property
    def eye_errors(self) -> np.ndarray:
        """[n, 2, 28], in parts of the inter-ocular distance."""
        return np.linalg.norm(self.measured_eyes - self.eyes, axis=3) / self.inter_ocular[:, None, None]

    @property
    def pose_errors(self) -> np.ndarray:
        """[n, 3], degrees, measured - true."""
        return np.degrees(self.block("pose_R")) - self.pose

    @property
    def gaze_errors(self) -> np.ndarray:
        """[n, 2], degrees between measured and true direction of each eye."""
        cosine = (self.block("gaze_0", "gaze_1").transpose(0, 2, 1) * self.gaze).sum(2)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    @property
    def gaze_angle_errors(self) -> np.ndarray:
        """[n, 2], degrees, measured - true angle of the mean direction, sideways and down."""
        x, y, z = np.moveaxis(self.gaze.mean(1), 1, 0)
        return np.degrees(self.block("gaze_angle") - np.stack([np.arctan2(x, -z), np.arctan2(y, -z)], 1))


def join(clips: Iterable[Clip]) -> Clip:
    """Clips one after the other."""
    clips = list(clips)
    return Clip(**{field.name: np.concatenate([getattr(clip, field.name) for clip in clips]) for field in fields(Clip)})


def clip_of(
    seed: int,
    shots: list[Shot],
    frames: list[Frame],
    found: VisionFeatures,
    neutral: np.ndarray,
    transform: np.ndarray,
    focal_length: float,
) -> Clip:
    """A clip of the truth of its frames, whose pixels `transform` [2, 3] moves, and of what was found.

    neutral : `features.vision.neutral_of` of the speaker; focal_length : of the picture, pixels
    """
    truth = {name: np.array([getattr(frame, name) for frame in frames], float) for name in TRUTH}
    corners = truth["landmarks_3d"][:, OUTER_EYE_CORNERS]
    inter_ocular = focal_length * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1) / corners[:, :, 2].mean(1)
    linear, shift = transform[:, :2].T, transform[:, 2]
    values = found.values.copy()
    values[:, ACTION_UNITS] = action_unit_columns(found.measures, neutral)
    return Clip(
        np.array([shot.part for shot in shots]),
        np.array([shot.driven for shot in shots]),
        np.full(len(frames), seed),
        truth["landmarks_2d"] @ linear + shift,
        truth["eye_landmarks_2d"] @ linear + shift,
        truth["landmarks_3d"],
        inter_ocular,
        np.degrees(truth["head_pose"]),
        truth["translation"],
        truth["gaze"],
        truth["units"],
        values,
        found.success,
        found.confidence,
        found.track,
        found.values[:, block_slice("AU_r")],
    )


TRUTH = ("landmarks_2d", "landmarks_3d", "eye_landmarks_2d", "head_pose", "translation", "gaze", "units")


def empty_clip(part: str, seed: int, found: VisionFeatures) -> Clip:
    """A clip of what was found where there is no face, or none of known truth."""
    count = len(found.success)
    shapes = {
        **{"landmarks": (68, 2), "eyes": (2, 28, 2), "landmarks_3d": (68, 3), "inter_ocular": ()},
        **{"pose": (3,), "translation": (3,), "gaze": (2, 3), "units": (52,)},
    }
    truth = {name: np.full((count, *shape), np.nan) for name, shape in shapes.items()}
    labels = {"part": np.full(count, part), "driven": np.full(count, ""), "seed": np.full(count, seed)}
    names = ("values", "success", "confidence", "track")
    measured = {name: getattr(found, name) for name in names} | {"intensities": found.values[:, block_slice("AU_r")]}
    return Clip(**labels, **truth, **measured)


def measure(
    models: VisionModels,
    head: Head,
    clips: list[tuple[list[Shot], list[Frame]]],
    pictures: list[list[np.ndarray]] | None = None,
    transform: np.ndarray | None = None,
    **options,
) -> Clip:
    """What is found on the clips of one speaker, one after the other; they share one person's baseline.

    Parameters
    ----------
    models : VisionModels
    head : Head, the speaker
    clips : list of shots and frames
    pictures : what is seen instead of the frames' own pictures
    transform : np.ndarray [shape=(2, 3)], from the frames' pixels to those of `pictures`
    options : of `features.vision.extract_vision`
    """
    transform = np.eye(2, 3) if transform is None else transform
    pictures = pictures or [[frame.image for frame in frames] for _, frames in clips]
    focal_length = head.camera[0] * transform[0, 0]
    options = {"coordinates": COORDINATES, "focal_length": focal_length, **options}
    found = [extract_vision(seen, models, **options) for seen in pictures]
    neutral = neutral_of(np.concatenate([clip.measures for clip in found]))
    return join(
        clip_of(head.seed, shots, frames, clip, neutral, transform, focal_length)
        for (shots, frames), clip in zip(clips, found, strict=True)
    )
