"""Gaze and eye landmarks: an eyeball at a known place behind the corners of the eye, turned to where its iris is seen
(the eyeball model of Baltrusaitis et al., "OpenFace 2.0", FG 2018, section III-D).

The face mesh finds people's irises better than a search in the picture does, in which narrow lids, lashes and their
shadow pull an iris up.  So the mesh's irises count, on an eyeball of human measure (`PEOPLE`).

The mesh does not see irises that are larger than any person's, those of rendered and drawn heads: there it knows them
sideways only, and hardly up and down.  Whether an iris is so large is read from the picture between the lids, over the
first frames of a face, and such eyes are searched in the picture (`features.iris`); small, blurred or shaded eyes of people
look as large, so the whole face must look rendered or drawn, too.  Until that is decided both gazes are given.

Shut eyes have no gaze: through a blink people's last one is held, in the head; that of large eyes is drawn towards
straight ahead.  In camera axes (0, 0, -1) looks into the camera; eye 0 is the one on the left of the image.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from features import iris
from features.eyeball import (
    LARGE,
    LARGE_IRIS,
    PEOPLE,
    STEEPEST,
    Eye,
    Eyeball,
    circles,
    direction_of,
    eye_of,
    followed,
    leading,
    on_sphere,
)
from features.landmarks import MESH_LIDS
from features.pose import Camera

LARGE_ODDS, DOUBT = 0.5, 8.0  # mean log odds of a large iris beyond which the mesh is not believed; more / frames at first
JUDGED = 60  # frames with open eyes, after which the size of the irises is known
NEAR = np.radians(np.meshgrid([-6, 0, 6], [-6, 0, 6])).reshape(2, -1)  # from the mesh's iris, where an iris is measured
CLOSED = 3.0  # mm between the lids of people; with less there is no gaze
# The rough gaze of large eyes from the mesh: sine of its yaw = factor x sideways turn of the irises; sine of its pitch =
# factor x their turn downwards + factor / mm x height of the lower lid + constant. Least squares over rendered heads.
ROUGH_YAW, ROUGH_PITCH = 1.19, (2.4, -0.052, 0.063)
ROUGH_DEVIATIONS = np.radians([5, 9])  # of the rough gaze from the true one
UNEXPECTED = -8.0  # log likelihood of a turn beside the rough gaze, below which it is not tried
OPEN = 4.0  # mm between the lids; with less the rough gaze is drawn towards straight ahead
DIVERGENCE = 0.3  # share of a difference of the two yaws that is believed: most of it is noise
_NO_TRANSFORM = np.eye(2, 3)


@dataclass(frozen=True)
class IrisSize:
    """Whether the irises of a face are larger than people's, by its frames with open eyes so far.

    odds : float, mean log odds of large ones
    frames : int
    """

    odds: float = 0.0
    frames: int = 0

    @property
    def doubt(self) -> float:
        """How far the odds may still lie from those of `JUDGED` frames."""
        if self.frames >= JUDGED:
            return 0.0
        return DOUBT / self.frames if self.frames else np.inf

    @property
    def large(self) -> bool:
        return self.odds > LARGE_ODDS + self.doubt

    @property
    def small(self) -> bool:
        return self.odds <= LARGE_ODDS - self.doubt

    def and_of(self, odds: float) -> "IrisSize":
        """With the odds of a further frame."""
        return IrisSize(self.odds + (odds - self.odds) / (self.frames + 1), self.frames + 1)

    @staticmethod
    def over(faces: list["IrisSize"]) -> "IrisSize":
        """That of several faces, by all their frames."""
        frames = sum(face.frames for face in faces)
        return IrisSize(sum(face.odds * face.frames for face in faces) / frames if frames else 0.0, frames)


@dataclass(frozen=True)
class Gaze:
    """Gaze of one frame.

    directions : np.ndarray [shape=(2, 3)], unit vectors, camera axes
    landmarks : np.ndarray [shape=(56, 3)]
        Camera axes, mm; 28 per eye: 0-7 iris rim, 8-19 lids, 20-27 pupil rim.
    pixels : np.ndarray [shape=(56, 2)], the same points where they are seen in the picture
    turns : np.ndarray [shape=(2, 2)], (yaw, pitch) of each eye in the head, radians
    eyeball : Eyeball, that was turned
    iris_size : IrisSize, of this face so far
    if_large : Gaze, what it is if the irises turn out to be large; None once their size is decided
    """

    directions: np.ndarray
    landmarks: np.ndarray
    pixels: np.ndarray
    turns: np.ndarray
    eyeball: Eyeball
    iris_size: IrisSize
    if_large: "Gaze | None" = None

    @property
    def angles(self) -> np.ndarray:
        """(x, y) [shape=(2,)], radians: atan2(x, -z), atan2(y, -z) of the mean direction."""
        x, y, z = self.directions.mean(0)
        return np.array([np.arctan2(x, -z), np.arctan2(y, -z)])

    def moved(self, shift: np.ndarray) -> "Gaze":
        """The same with its landmarks moved by a shift [shape=(3,)], mm."""
        return replace(self, landmarks=self.landmarks + shift, if_large=self.if_large and self.if_large.moved(shift))


def gaze_of(
    mesh: np.ndarray,
    shape: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    camera: Camera,
    frame: np.ndarray | None = None,
    transform: np.ndarray = _NO_TRANSFORM,
    before: Gaze | None = None,
    drawn_odds: float = np.inf,
) -> Gaze:
    """Gaze of both eyes.

    Parameters
    ----------
    mesh : np.ndarray [shape=(478, 2)], pixels
    shape : np.ndarray [shape=(68, 3)], mm, head axes
    rotation, translation : pose of the head, [shape=(3, 3)] and [shape=(3,)] mm
    camera : Camera
        The one that the pose is in front of. A rotation against the line of sight needs the camera of that.
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB, optional
        The picture that shows how large the irises are; without it they are people's.
    transform : np.ndarray [shape=(2, 3)], from pixels of the frame to those of mesh and camera
    before : Gaze, optional
        Of the frame before, of the same face. It is held while the eyes are shut; without it shut eyes look ahead.
    drawn_odds : float, log odds that the face is rendered or drawn, by what else is seen of it
    """
    eyes = [eye_of(number, mesh, shape, rotation, translation, camera) for number in (0, 1)]
    shut = opening(eyes) < CLOSED
    size = before.iris_size if before else IrisSize()
    known = size.frames >= JUDGED
    patches = [] if frame is None or (known and size.small) else patches_of(eyes, frame, transform)
    if patches and not known and not shut:
        size = size.and_of(min(large_odds(eyes, patches), drawn_odds))

    def gaze_with(turns: np.ndarray, eyeball: Eyeball) -> Gaze:
        directions = directions_of(turns) @ rotation.T
        return Gaze(directions, *points_of(turns, eyeball, eyes, mesh, rotation, camera), turns, eyeball, size)

    if size.large and patches:
        return gaze_with(*searched_turns(eyes, patches))
    held = before.turns if before else np.zeros((2, 2))
    gaze = gaze_with(held if shut else mesh_turns(eyes), PEOPLE)
    if size.small or not patches:
        return gaze
    return replace(gaze, if_large=gaze_with(*searched_turns(eyes, patches)))


def directions_of(turns: np.ndarray) -> np.ndarray:
    """Where eyes of these turns [shape=(2, 2)] look: unit vectors [shape=(2, 3)], head axes."""
    yaws = turns[:, 0].mean() + DIVERGENCE * (turns[:, 0] - turns[:, 0].mean())
    return direction_of(yaws, turns[:, 1].mean())  # up and down both eyes go together


def points_of(
    turns: np.ndarray, eyeball: Eyeball, eyes: list[Eye], mesh: np.ndarray, rotation: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """`Gaze.landmarks` and `Gaze.pixels` of eyeballs that are turned; the parameters are those of `gaze_of`."""
    landmarks, pixels = [], []
    for number, (eye, (yaw, pitch)) in enumerate(zip(eyes, turns, strict=True)):
        centre = eye.middle + rotation @ eyeball.centre[number]
        seen_direction = rotation @ direction_of(yaw, followed(pitch))
        lids = mesh[MESH_LIDS[number]]
        rims = centre + circles(seen_direction, eyeball.radius, (eyeball.iris, eyeball.pupil))
        landmarks += [rims[0], on_sphere(camera.rays(lids), centre, eyeball.radius), rims[1]]
        pixels += [camera.project(rims[0]), lids, camera.project(rims[1])]
    return np.concatenate(landmarks), np.concatenate(pixels)


def opening(eyes: list[Eye]) -> float:
    """Mean distance of the lids, mm."""
    return float(np.mean([eye.lower - eye.upper for eye in eyes]))


def patches_of(eyes: list[Eye], frame: np.ndarray, transform: np.ndarray) -> list[iris.EyePatch]:
    """The pictures of the eyes; the parameters are those of `gaze_of`."""
    to_frame = np.vstack([cv2.invertAffineTransform(transform), [0, 0, 1]])
    return [iris.eye_patch(frame, (to_frame @ np.vstack([eye.to_picture, [0, 0, 1]]))[:2], eye.lids, eye.view) for eye in eyes]


# ---------------------------------------------------------------- people
def mesh_turns(eyes: list[Eye]) -> np.ndarray:
    """(yaw, pitch) of both eyes in the head [shape=(2, 2)], radians, of people's eyes with the irises of the mesh."""
    turns = np.array([eye.turn_to_iris(PEOPLE, centre) for eye, centre in zip(eyes, PEOPLE.centre, strict=True)])
    turns[:, 1] = leading(turns[:, 1])
    return turns


def large_odds(eyes: list[Eye], patches: list[iris.EyePatch]) -> float:
    """Log odds of irises of large eyes over people's, near to where the mesh has them."""

    def log_likelihood(eyeball: Eyeball) -> float:
        result = 0.0
        for eye, patch, centre in zip(eyes, patches, eyeball.centre, strict=True):
            yaw, pitch = eye.turn_to_iris(eyeball, centre)
            near = direction_of(yaw + NEAR[0], pitch + NEAR[1]).astype(np.float32)
            angles = (eyeball.iris, eyeball.pupil)
            result += iris.evidence(patch, centre, eyeball.radius, near, angles, patch.shading).max()
        return result

    return log_likelihood(LARGE_IRIS) - log_likelihood(PEOPLE)


# ---------------------------------------------------------------- large eyes
_SEEN_DIRECTIONS = direction_of(iris.TURNS[:, 0], followed(iris.TURNS[:, 1])).astype(np.float32)


def searched_turns(eyes: list[Eye], patches: list[iris.EyePatch]) -> tuple[np.ndarray, Eyeball]:
    """(yaw, pitch) of both eyes in the head [shape=(2, 2)], radians, searched in the picture, and the fitting eyeball."""
    apart = (iris.TURNS - rough_gaze(eyes)) / ROUGH_DEVIATIONS
    expected = -(apart**2).sum(1) / 2
    near = expected > UNEXPECTED
    turns, expected, directions = iris.TURNS[near], expected[near], _SEEN_DIRECTIONS[near]
    best, result, eyeball = -np.inf, None, None
    for candidate in LARGE:
        found = [
            iris.evidence(patch, centre, candidate.radius, directions)
            for patch, centre in zip(patches, candidate.centre, strict=True)
        ]
        likelihood = (found[0] + found[1] + expected).max()
        if likelihood > best:
            best, eyeball = likelihood, candidate
            result = np.array([iris.mean_turn(turns, own + expected) for own in found])
    return result, eyeball


def rough_gaze(eyes: list[Eye]) -> np.ndarray:
    """(yaw, pitch) [shape=(2,)] of both eyes, radians, as the mesh has them where it hardly sees the irises."""
    eyeball = LARGE[-1]
    turns = np.array([eye.turn_to_iris(eyeball, centre) for eye, centre in zip(eyes, eyeball.centre, strict=True)])
    x, y, _ = direction_of(*turns.T).mean(0)
    lower = np.mean([eye.lower for eye in eyes])
    factor, lid_factor, constant = ROUGH_PITCH
    sines = np.array([ROUGH_YAW * x, factor * y + lid_factor * lower + constant])
    return np.arcsin(np.clip(sines * np.clip(opening(eyes) / OPEN, 0, 1), -STEEPEST, STEEPEST))
