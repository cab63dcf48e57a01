"""The 709 OpenFace columns of the frames of one clip (30 Hz in, 30 Hz out), and what else is known of each frame."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np

from features.action_units import action_units, measure_count, measures_of
from features.confidence import MINIMUM_CONFIDENCE, confidence_of, people_weights
from features.detect import FaceDetector
from features.face import Coordinates, FaceColumns, FaceGeometry, measure, to_columns
from features.face_units import DRAWN, face_unit_weights, load_face_units
from features.gaze import IrisSize
from features.landmarks import landmark_weights, landmarks_68
from features.mesh import FaceMesh, MeshFace
from features.openface import COLUMNS, block_slice
from features.shape_model import ShapeModel, load_shape_model
from features.speaker import mouth_opening, speaking_scores
from features.track import FaceTracker, TrackedFace

Faces = Literal["largest", "speaker"]
MOST_FACES = 4  # that are followed to find the speaker among them
BLOCK = 1000  # frames
ACTION_UNITS = slice(block_slice("AU_r").start, block_slice("AU_c").stop)  # the last columns


@dataclass(frozen=True)
class VisionFeatures(FaceColumns):
    """Features of one clip of n frames: beside those of any source

    speaking : np.ndarray [shape=(t,), float32]
        `features.speaker.speaking_scores` of the t tracks; NaN where no speaker was looked for.
    measures : np.ndarray [shape=(n, m), float32]
        What the action units are computed from (`features.action_units`); NaN where there is no face.
    """

    speaking: np.ndarray
    measures: np.ndarray


@dataclass(frozen=True)
class FaceFeatures:
    """One face on one frame; the fields are those of `VisionFeatures`, `opening` is that of the mouth.

    `if_large` are the values with the gaze of `Gaze.if_large`, or None.
    """

    values: np.ndarray
    measures: np.ndarray
    confidence: float
    box: np.ndarray
    transform: np.ndarray
    track: int
    opening: float
    if_large: np.ndarray | None = None


class Rows:
    """Rows of numbers that come one by one, kept in blocks of `BLOCK`.

    As many small arrays would take half as much room again, and the program would keep it after they have gone.
    """

    def __init__(self, width: int) -> None:
        self.width, self.count = width, 0
        self.block = np.empty((0, width), np.float32)

    def keep(self, row: np.ndarray) -> np.ndarray:
        """A row [shape=(width,)] as it is kept."""
        place = self.count % BLOCK
        if place == 0:
            self.block = np.empty((BLOCK, self.width), np.float32)
        self.block[place] = row
        self.count += 1
        return self.block[place]


@cache
def no_face() -> FaceFeatures:
    """A frame without a face."""
    return FaceFeatures(
        values=np.full(len(COLUMNS), np.nan),
        measures=np.full(measure_count(), np.nan),
        confidence=0.0,
        box=np.full(4, np.nan),
        transform=np.full((2, 3), np.nan),
        track=-1,
        opening=np.nan,
    )


@dataclass
class VisionModels:
    """The networks and the shape model; make one and use it for many clips."""

    detector: FaceDetector = field(default_factory=FaceDetector)
    mesh: FaceMesh = field(default_factory=FaceMesh)
    shape_model: ShapeModel = field(default_factory=load_shape_model)

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every file of weights."""
        points = landmark_weights() | self.shape_model.weights
        return {**self.detector.weights, **self.mesh.weights, **points, **face_unit_weights(), **people_weights()}


def extract_vision(
    frames: Iterable[np.ndarray],
    models: VisionModels,
    *,
    coordinates: Coordinates = "aligned",
    minimum_confidence: float = MINIMUM_CONFIDENCE,
    focal_length: float | None = None,
    faces: Faces = "largest",
    loudness: np.ndarray | None = None,
) -> VisionFeatures:
    """Features of the frames of one clip; frames are used as they come and not kept.

    Action units count from the neutral face of the population; `action_unit_columns` gives them from that of a person.

    Parameters
    ----------
    frames : iterable of np.ndarray [shape=(h, w, 3), uint8], RGB, at 30 Hz
    models : VisionModels
    coordinates : 'aligned' or 'frame'
    minimum_confidence : float
        Frames with less confidence count as frames without a face.
    focal_length : float, optional
        Of the camera, pixels of the frame; counts in `frame` coordinates only.
    faces : 'largest' or 'speaker'
        Which face is measured where there are several: the largest, or the one whose mouth goes with the sound.
    loudness : np.ndarray [shape=(n,)], optional
        Of the sound during each frame (`features.speaker.loudness_of`). Without it the speaker is the largest face.

    Raises
    ------
    ValueError
        If `coordinates` or `faces` is neither.
    """
    if coordinates not in ("aligned", "frame"):
        raise ValueError(f"coordinates is {coordinates!r}; choose 'aligned' or 'frame'.")
    if faces not in ("largest", "speaker"):
        raise ValueError(f"faces is {faces!r}; choose 'largest' or 'speaker'.")
    tracker = FaceTracker(models.detector, models.mesh, MOST_FACES if faces == "speaker" else 1)
    rows, measure_rows = Rows(len(COLUMNS)), Rows(measure_count())
    found: list[dict[int, FaceFeatures]] = []
    seen, before = [], {}  # `before` of each track, also through frames on which it is lost
    for frame in frames:
        tracked = tracker.next(frame)
        found.append({})
        for face in tracked:
            measures = measures_of(face.mesh.points, face.mesh.blendshapes, frame)
            odds, start = load_face_units().odds_of_drawn(measures), before.get(face.track)
            geometry = measure(face.mesh, frame, models.shape_model, coordinates, start, focal_length, odds)
            before[face.track] = geometry
            found[-1][face.track] = features_of(face, geometry, rows, measure_rows.keep(measures))
        seen.append(tracker.seen)
    scores = score_tracks(found, loudness)
    chosen = [max(row.values(), key=lambda face: preference(face, scores), default=no_face()) for row in found]
    iris_sizes = {track: geometry.gaze.iris_size for track, geometry in before.items()}
    of_clip = IrisSize.over(list(iris_sizes.values()))
    for face in chosen:
        if face.track >= 0:
            size = iris_sizes[face.track]
            # A face that went too soon to be known is as the others of the clip: all are people, or all are drawn.
            face.measures[DRAWN] = drawn = size.large or (not size.small and of_clip.large)
            if drawn and face.if_large is not None:
                face.values[:] = face.if_large
    return stack(chosen, np.array(seen, np.uint8), scores, minimum_confidence)


def features_of(face: TrackedFace, geometry: FaceGeometry, rows: Rows, measures: np.ndarray) -> FaceFeatures:
    """What is kept of a face that was found on a frame; values are kept in the rows."""
    if_large = geometry.gaze.if_large
    return FaceFeatures(
        values=rows.keep(to_columns(geometry)),
        measures=measures,
        confidence=confidence_of(face),
        box=box_around(face.mesh),
        transform=geometry.transform,
        track=face.track,
        opening=mouth_opening(face.mesh.points),
        if_large=rows.keep(to_columns(replace(geometry, gaze=if_large))) if if_large else None,
    )


def box_around(mesh: MeshFace) -> np.ndarray:
    """Left, top, right, bottom of the mesh and of the 68 points, a little of whose jaw lies outside it; pixels of the frame."""
    points = landmarks_68(mesh.points[:, :2])
    return np.concatenate([np.minimum(mesh.box[:2], points.min(0)), np.maximum(mesh.box[2:], points.max(0))])


def score_tracks(found: list[dict[int, FaceFeatures]], loudness: np.ndarray | None) -> np.ndarray:
    """`VisionFeatures.speaking` of the faces by track that were found on each frame; all NaN without sound."""
    count = 1 + max((track for row in found for track in row), default=-1)
    openings = np.full((len(found), count), np.nan)
    for i, row in enumerate(found):
        openings[i, list(row)] = [face.opening for face in row.values()]
    if loudness is None or len(loudness) == 0 or count < 2:
        return np.full(count, np.nan, np.float32)
    return speaking_scores(openings, loudness).astype(np.float32)


def preference(face: FaceFeatures, scores: np.ndarray) -> tuple[float, float]:
    """What decides between faces of one frame: who speaks, and among equals who is larger."""
    return float(np.nan_to_num(scores[face.track])), float(np.prod(face.box[2:] - face.box[:2]))


def stack(faces: list[FaceFeatures], seen: np.ndarray, speaking: np.ndarray, minimum_confidence: float) -> VisionFeatures:
    """The frames of a clip as arrays; values of a face with less than the minimum confidence become NaN."""

    def column(name: str, dtype: type = np.float32) -> np.ndarray:
        result = np.empty((len(faces), *np.shape(getattr(no_face(), name))), dtype)
        for i, face in enumerate(faces):
            result[i] = getattr(face, name)
        return result

    values, measures, confidence, track = column("values"), column("measures"), column("confidence"), column("track", np.int16)
    success = (track >= 0) & (confidence >= minimum_confidence)
    values[~success], measures[~success] = np.nan, np.nan
    values[:, ACTION_UNITS] = action_unit_columns(measures)
    return VisionFeatures(values, success, confidence, column("box"), column("transform"), track, seen, speaking, measures)


def action_unit_columns(measures: np.ndarray, neutral: np.ndarray | None = None) -> np.ndarray:
    """The columns `ACTION_UNITS` [shape=(n, 35)] of measures [shape=(n, m)].

    They count from the measures of the neutral face of a person [shape=(m,)], or from those of the population (None).
    """
    return np.concatenate(action_units(measures, neutral), 1)
