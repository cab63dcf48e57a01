"""Follow the face of a clip: MTCNN says where a face is, the mesh says how it looks.

MTCNN runs on key frames: the first frame, one every `KEY_INTERVAL` frames, and every frame on which no face is being
followed or the mesh has lost it or jumps.  Between them the mesh searches around its own last place.  A mesh that MTCNN
does not confirm on a key frame is no face.  Of several faces the largest is taken, and kept until another is more than
`SWITCH` times as large, so that two people of one size do not take turns.
"""

from dataclasses import dataclass

import numpy as np

from features.detect import Face, FaceDetector
from features.mesh import FaceMesh, MeshFace

KEY_INTERVAL = 60  # frames
SAME_FACE = 0.3  # smallest overlap (intersection over union) of two boxes of one face
JUMP = 0.5  # largest plausible move between frames, in sides of the face
GROWTH = 1.5  # largest plausible change of size between frames
SWITCH = 1.5


@dataclass(frozen=True)
class TrackedFace:
    """The mesh of the face on one frame and MTCNN's probability on the last key frame."""

    mesh: MeshFace
    probability: float


class FaceTracker:
    """Follows the face of one clip, frame by frame."""

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, minimum_probability: float) -> None:
        self.detector, self.mesh, self.minimum_probability = detector, mesh, minimum_probability
        self.last: TrackedFace | None = None
        self.until_key_frame = 0

    def next(self, frame: np.ndarray) -> TrackedFace | None:
        """The face of the next frame [shape=(h, w, 3), uint8, RGB], or None where there is none."""
        followed = self._follow(frame) if self.last else None
        if followed is None or self.until_key_frame == 0:
            followed = self._confirm(frame, followed)
            self.until_key_frame = KEY_INTERVAL
        self.until_key_frame -= 1
        self.last = followed
        return followed

    def _follow(self, frame: np.ndarray) -> TrackedFace | None:
        before = self.last.mesh.box
        found = self.mesh.find(frame, before)
        if found is None or jumped(before, found.box):
            return None
        return TrackedFace(found, self.last.probability)

    def _confirm(self, frame: np.ndarray, followed: TrackedFace | None) -> TrackedFace | None:
        faces = self.detector.detect(frame, self.minimum_probability)
        if not faces:
            return None
        same = [face for face in faces if followed and overlap(face.box, followed.mesh.box) >= SAME_FACE]
        if same and faces[0].area <= SWITCH * same[0].area:
            return TrackedFace(followed.mesh, same[0].probability)
        for face in faces:
            found = self.mesh.find(frame, face.box)
            if found and _belongs(found, face):
                return TrackedFace(found, face.probability)
        return None


def _belongs(mesh: MeshFace, face: Face) -> bool:
    return overlap(mesh.box, face.box) >= SAME_FACE


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    common = np.prod(np.maximum(sides, 0))
    return float(common / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - common))


def jumped(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a face cannot have come from box `before` to box `after` within one frame."""
    side_before, side_after = max(before[2:] - before[:2]), max(after[2:] - after[:2])
    move = np.linalg.norm((after[2:] + after[:2] - before[2:] - before[:2]) / 2)
    return bool(move > JUMP * side_before or not 1 / GROWTH < side_after / side_before < GROWTH)
