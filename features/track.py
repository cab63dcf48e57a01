"""Follow the faces of a clip: MTCNN says where faces are, the mesh says how they look.

MTCNN runs on key frames: the first frame, one every `KEY_INTERVAL` frames, and every frame on which no face is followed,
one has been lost or jumps, or the picture of one changes much.  Between them each mesh looks where the face was on
the frame before.  A track begins where both see a face.  If MTCNN does not confirm it later it may be MTCNN that is wrong
(a hidden eye, glaring light): the face is kept, with less confidence.  If one face is to be followed, the largest is
taken, and kept until another is more than `SWITCH` times as large, so that two people of one size do not take turns.
"""

from dataclasses import dataclass, replace

import numpy as np

from features.detect import Face, FaceDetector
from features.landmarks import five_points
from features.mesh import FaceMesh, MeshFace, Region

KEY_INTERVAL = 60  # frames
PRESENCE = 0.0  # smallest log-odds that are a face
SAME_FACE = 0.3  # smallest overlap (intersection over union) of two boxes of one face
JUMP = 0.5  # largest plausible move between frames, in sides of the face
GROWTH = 1.5  # largest plausible change of size between frames
SWITCH = 1.5
RELEVANT = 0.4  # side of the smallest face that is looked for, in sides of the smallest that is followed
MEMORY = 30  # frames after which a face in the old place is a new face
FAR = 0.15  # by which a face may lie off the square in which the mesh looks for it: beyond, it looks again
CUT = 0.6  # correlation of the picture of a face with that of the frame before, below which it is another picture
DOUBT = 0.8  # the same correlation, below which MTCNN is asked whether it still is a face
UNCONFIRMED = 0.4  # disagreement, in distances of the eyes, of a mesh where MTCNN sees no face; the largest


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face on one frame.

    mesh : MeshFace
    track : int, number of the followed face in the clip
    detection : Face, as MTCNN saw it on the last key frame, or None if it did not
    disagreement : float
        How far MTCNN's five points lay from those of the mesh on the last key frame, mean, in distances of the eyes.
    """

    mesh: MeshFace
    track: int
    detection: Face | None
    disagreement: float

    @property
    def area(self) -> float:
        """What MTCNN saw of it, pixels squared."""
        return self.detection.area if self.detection else 0.0

    @property
    def box(self) -> np.ndarray:
        """Left, top, right, bottom of the points, pixels."""
        return self.mesh.box


class FaceTracker:
    """Follows the faces of one clip, frame by frame.

    Parameters
    ----------
    detector : FaceDetector
    mesh : FaceMesh
    most : int, how many faces to follow

    Attributes
    ----------
    seen : int, how many faces the last key frame showed
    """

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, most: int = 1) -> None:
        self.detector, self.mesh, self.most = detector, mesh, most
        self.faces: list[TrackedFace] = []
        self.last_seen: dict[int, tuple[int, np.ndarray]] = {}  # track -> frame, box
        self.cut: set[int] = set()  # tracks that this frame ends: whoever shows there now is another
        self.in_doubt = False  # whether this frame shows a followed face otherwise than the frame before
        self.frame = self.tracks = self.seen = self.until_key_frame = 0

    def next(self, frame: np.ndarray) -> list[TrackedFace]:
        """The faces of the next frame [shape=(h, w, 3), uint8, RGB], those that are followed longest first."""
        faces: list[TrackedFace] = []
        self.cut, self.in_doubt = set(), False
        for before in self.faces:
            face = self._follow(frame, before)
            if face and not any(overlap(face.box, other.box) >= SAME_FACE for other in faces):
                faces.append(face)
        if not faces or len(faces) < len(self.faces) or self.in_doubt or self.until_key_frame == 0:
            faces = self._confirm(frame, faces)
            self.until_key_frame = KEY_INTERVAL
        self.until_key_frame -= 1
        self.frame += 1
        self.faces = faces
        self.last_seen |= {face.track: (self.frame, face.box) for face in faces}
        return faces

    def _follow(self, frame: np.ndarray, face: TrackedFace) -> TrackedFace | None:
        """The face on the next frame, or None where it has gone."""
        region = face.mesh.wanted_region
        found = self.mesh.look(frame, region)
        if distance(region, found.wanted_region) > FAR:
            found = self.mesh.look(frame, found.wanted_region)
        alike = likeness(found.thumbnail, face.mesh.thumbnail)
        self.in_doubt |= alike < DOUBT
        if alike < CUT:
            self.cut.add(face.track)
            return None
        return None if found.presence < PRESENCE or jumped(face.box, found.box) else replace(face, mesh=found)

    def _confirm(self, frame: np.ndarray, followed: list[TrackedFace]) -> list[TrackedFace]:
        """Of the followed faces those that go on, and new ones as far as there is room or they are much larger."""
        sides = [max(face.box[2:] - face.box[:2]) for face in followed]
        new, faces = self.detector.detect(frame, RELEVANT * min(sides, default=0.0)), []
        self.seen = len(new)
        for face in followed:
            same = next((detection for detection in new if overlap(face.box, detection.box) >= SAME_FACE), None)
            if same is not None:
                new = [detection for detection in new if detection is not same]
                faces.append(tracked(face.mesh, face.track, same))
            else:
                faces.append(replace(face, detection=None, disagreement=UNCONFIRMED))
        for detection in new:
            smallest = min(faces, key=lambda face: face.area, default=None)
            if len(faces) == self.most and detection.area <= SWITCH * smallest.area:
                break
            mesh = self.mesh.find(frame, detection.box, detection.points[:2])
            if mesh.presence >= PRESENCE and overlap(mesh.box, detection.box) >= SAME_FACE:
                if len(faces) == self.most:
                    faces.remove(smallest)
                faces.append(tracked(mesh, self._track_in(mesh.box, faces), detection))
        return sorted(faces, key=lambda face: face.track)

    def _track_in(self, box: np.ndarray, faces: list[TrackedFace]) -> int:
        """The track of a face that is found in `box`: that of a face lost there a moment ago, or a new one."""
        taken = self.cut | {face.track for face in faces}
        missed = [
            (frame, track)
            for track, (frame, last_box) in self.last_seen.items()
            if track not in taken and self.frame - frame <= MEMORY and overlap(box, last_box) >= SAME_FACE
        ]
        if missed:
            return max(missed)[1]
        self.tracks += 1
        return self.tracks - 1


def tracked(mesh: MeshFace, track: int, detection: Face) -> TrackedFace:
    """A face that both MTCNN and the mesh see."""
    points = five_points(mesh.points[:, :2])
    apart = np.linalg.norm(points - detection.points, axis=1).mean() / np.linalg.norm(points[1] - points[0])
    return TrackedFace(mesh, track, detection, min(float(apart), UNCONFIRMED))


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two pictures; 0 where one is of one tone."""
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum() / max(np.sqrt((first**2).sum() * (second**2).sum()), 1e-6))


def distance(first: Region, second: Region) -> float:
    """How far two squares differ: the largest of shift (sides), relative size and turn (radians)."""
    shift = np.linalg.norm(second.centre - first.centre) / first.side
    turn = np.angle(np.exp(1j * (second.angle - first.angle)))
    return float(max(shift, abs(np.log(second.side / first.side)), abs(turn)))


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
