"""Follow the faces of a clip: MTCNN says where faces are, the mesh says how they look.

MTCNN runs on key frames: the first frame, one every `KEY_INTERVAL` frames, and every frame on which no face is followed,
one has been lost or jumps, or the picture of one changes much.  Between them each mesh looks where the face was on
the frame before.  A track begins where both see a face.  If MTCNN does not confirm it later it may be MTCNN that is wrong
(a hidden eye, glaring light): the face is kept, with less confidence.  A track ends where the face is no longer the same
person's: its picture, aligned by five points and freed from exposure, its colour, and the shape of its mesh, freed from the
pose, have changed too much at once.  A head that moves fast changes its place, not these; what lies about it does not
count.  By the same measure a face that was lost for a moment is taken up again, and nobody else in its place.  If one face
is to be followed, the largest is taken, and kept until another is more than `SWITCH` times as large, so that two people of
one size do not take turns.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from features.align import SIDE as ALIGNED_SIDE
from features.align import TEMPLATE, similarity_transform
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
MOMENT = 3  # frames within which a lost face need not be in the old place
FAR = 0.15  # by which a face may lie off the square in which the mesh looks for it: beyond, it looks again
SAME_PERSON = -0.06  # `Look.agreement` below which it is another person; chosen on cuts between films of people
SHAPE_WEIGHT, COLOUR_WEIGHT = 4.0, 10.0  # of changes of shape and colour in it
LOOK_SIDE = 32  # pixels of the aligned picture that is compared
MIDDLE = np.s_[13:21, 12:20]  # eyes to mouth in it: mostly skin
DOUBT = 0.8  # correlation with the picture before, in one square, below which MTCNN is asked whether it still is a face


@dataclass(frozen=True, eq=False)
class Look:
    """What tells a person from another from one frame to the next.

    picture : np.ndarray [shape=(32, 32), float32], the aligned face, grey
    colour : np.ndarray [shape=(3,)], median parts of red, green and blue in the middle of the face
    shape : np.ndarray [shape=(468, 3)], the mesh without irises, about its mean, of norm 1
    """

    picture: np.ndarray
    colour: np.ndarray
    shape: np.ndarray

    @classmethod
    def of(cls, frame: np.ndarray, mesh: MeshFace) -> "Look":
        """The look of a face of a frame [shape=(h, w, 3), uint8, RGB]."""
        scale = LOOK_SIDE / ALIGNED_SIDE
        transform = similarity_transform(five_points(mesh.points[:, :2]), scale * TEMPLATE)
        picture = cv2.warpAffine(frame, transform, (LOOK_SIDE, LOOK_SIDE))
        skin = picture[MIDDLE].reshape(-1, 3) + 1 / 3  # black has no colour
        colour = np.median(skin / skin.sum(1, keepdims=True), axis=0)
        return cls(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), colour, cls.shape_of(mesh))

    @staticmethod
    def shape_of(mesh: MeshFace) -> np.ndarray:
        """`Look.shape` of a face."""
        shape = mesh.points[:468] - mesh.points[:468].mean(0)
        return shape / np.linalg.norm(shape)

    def agreement(self, other: "Look") -> float:
        """Correlation of the pictures less the weighted distances of the shapes, turned onto each other, and colours."""
        alike = ((self.shape @ rotation_onto(self.shape, other.shape)) * other.shape).sum()
        apart = np.sqrt(max(0.0, 1 - alike**2))
        tint = np.abs(self.colour - other.colour).sum()
        return likeness(self.picture, other.picture) - SHAPE_WEIGHT * float(apart) - COLOUR_WEIGHT * float(tint)


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face on one frame.

    mesh : MeshFace
    track : int, number of the followed face in the clip
    detection : Face, as MTCNN saw it on the last key frame, or None if it did not
    look : Look, by which the tracker knows it again
    """

    mesh: MeshFace
    track: int
    detection: Face | None
    look: Look | None = None

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
        self.last_seen: dict[int, tuple[int, np.ndarray, Look]] = {}  # track -> frame, box, look
        self.in_doubt = False  # whether this frame shows a followed face otherwise than the frame before
        self.frame = self.tracks = self.seen = self.until_key_frame = 0

    def next(self, frame: np.ndarray) -> list[TrackedFace]:
        """The faces of the next frame [shape=(h, w, 3), uint8, RGB], those that are followed longest first."""
        faces: list[TrackedFace] = []
        self.in_doubt = False
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
        self.last_seen |= {face.track: (self.frame, face.box, face.look) for face in faces}
        return faces

    def _follow(self, frame: np.ndarray, face: TrackedFace) -> TrackedFace | None:
        """The face on the next frame, or None where it has gone."""
        region = face.mesh.wanted_region
        found = self.mesh.look(frame, region)
        if distance(region, found.wanted_region) > FAR:
            found = self.mesh.look(frame, found.wanted_region)
        self.in_doubt |= likeness(found.thumbnail, face.mesh.thumbnail) < DOUBT
        if found.presence < PRESENCE or jumped(face.box, found.box):
            return None
        look = Look.of(frame, found)
        return replace(face, mesh=found, look=look) if self._is(face.track, look) else None

    def _is(self, track: int, look: Look) -> bool:
        """Whether a face looks as that of a track did when it was last seen."""
        return self.last_seen[track][2].agreement(look) >= SAME_PERSON

    def _confirm(self, frame: np.ndarray, followed: list[TrackedFace]) -> list[TrackedFace]:
        """Of the followed faces those that go on, and new ones as far as there is room or they are much larger."""
        sides = [max(face.box[2:] - face.box[:2]) for face in followed]
        new, faces = self.detector.detect(frame, RELEVANT * min(sides, default=0.0)), []
        self.seen = len(new)
        for face in followed:
            same = next((detection for detection in new if overlap(face.box, detection.box) >= SAME_FACE), None)
            if same is not None:
                new = [detection for detection in new if detection is not same]
            faces.append(replace(face, detection=same))
        for detection in new:
            smallest = min(faces, key=lambda face: face.area, default=None)
            if len(faces) == self.most and detection.area <= SWITCH * smallest.area:
                break
            mesh = self.mesh.find(frame, detection.box, detection.points[:2])
            if mesh.presence >= PRESENCE and overlap(mesh.box, detection.box) >= SAME_FACE:
                if len(faces) == self.most:
                    faces.remove(smallest)
                look = Look.of(frame, mesh)
                faces.append(TrackedFace(mesh, self._track_of(mesh.box, look, faces), detection, look))
        return sorted(faces, key=lambda face: face.track)

    def _track_of(self, box: np.ndarray, look: Look, faces: list[TrackedFace]) -> int:
        """The track of a face that is found in `box`: that of the same face lost there a moment ago, or a new one."""
        taken = {face.track for face in faces}
        missed = [
            (seen, track)
            for track, (seen, last_box, _) in self.last_seen.items()
            if track not in taken
            and (self.frame - seen <= MOMENT or (self.frame - seen <= MEMORY and overlap(box, last_box) >= SAME_FACE))
            and self._is(track, look)
        ]
        if missed:
            return max(missed)[1]
        self.tracks += 1
        return self.tracks - 1


def rotation_onto(shape: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rotation [shape=(3, 3)] after which points [shape=(n, 3)] lie nearest to others, `shape @ rotation` (Kabsch 1976)."""
    left, _, right = np.linalg.svd(shape.T @ other)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))  # no reflection
    return left @ right


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
