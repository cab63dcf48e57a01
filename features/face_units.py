"""How strongly the ARKit face units (browInnerUp, jawOpen ...) are active in the picture of a face.

What is measured on a face is taken to be its neutral value, plus what each active unit does to it, plus noise:

    measures = neutral + amplitudes @ responses + noise,    amplitudes >= 0 and few of them large.

The amplitudes are the most probable ones: non-negative least squares in the metric of the noise, with an exponential
prior (Tibshirani, "Regression shrinkage and selection via the lasso", 1996), by accelerated projected gradient (Beck &
Teboulle, "A fast iterative shrinkage-thresholding algorithm", 2009).  So units that look alike compete instead of all
rising together.  The measures are those of "Cross-dataset learning and person-specific normalisation for automatic
action unit detection" (Baltrusaitis, Mahmoud & Robinson, 2015), shape and edges of the upright face, less the person's
neutral value.  Shape comes from the face mesh and its blendshapes; edges because the mesh hardly moves with cheeks,
nose and chin.  Everything is the mean of both sides of the face.  `benchmarks.calibrate_action_units` fitted the
responses and the noise to rendered heads (`face_units.npz`).
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import griddata
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from features.hashing import sha256_of
from features.mesh import BLENDSHAPE_POINTS, BLENDSHAPES

MODEL = Path(__file__).with_name("face_units.npz")
# Points that keep their place while the face moves: forehead, corners of the eyes, nose, sides of the face.
STEADY = np.array([10, 151, 9, 168, 6, 197, 5, 4, 2, 33, 133, 362, 263, 234, 454])
RESOLUTION = 48  # pixels of the upright picture per distance of the outer corners of the eyes
PIXELS = (84, 72)  # of the upright picture, down and across
CELL = 6  # pixels of a cell in which edges are counted
TOP = -0.5  # upper end of the upright picture, eye distances from the eyes
EYES, EYE_CELL = slice(12, 36), 4  # rows of it with the eyes, where lids move by little: smaller cells
FLAT = 4.0  # edges weaker than this are noise
DIAGONAL = np.float32(np.sqrt(0.5))
# Directions of edges, towards the brighter side: right, left, down, up, right down, left up, right up, left down.
MIRRORED = [1, 0, 2, 3, 7, 6, 5, 4]  # the same directions in a mirror
EVIDENCE = 1.2  # standard deviations of the noise by which a unit must stand out
TURNED = 5.0  # by how much the noise grows with the turn of the head
STEPS = 150


def base_name(unit: str) -> str:
    """A face unit without its side."""
    return unit.removesuffix("Left").removesuffix("Right")


# Blendshapes whose activation stays near 0 whatever the face does; on people the logarithm of cheekSquint tells a smile of
# the cheeks all the same, on rendered heads nothing does.
DEAD = {"_neutral", "cheekSquint", "noseSneer"}
BASE_BLENDSHAPES = sorted({base_name(name) for name in BLENDSHAPES} - DEAD)
_SIDES = np.array([[base_name(name) == base for name in BLENDSHAPES] for base in BASE_BLENDSHAPES], float)
_SIDES /= _SIDES.sum(1, keepdims=True)
CHEEK_BLENDSHAPES = ("cheekSquintLeft", "cheekSquintRight")
FAINT = 1e-9  # activation below which none is told from another
CHEEKS, DRAWN = -2, -1  # places of measures beside those of the fit


class UprightFace:
    """Where the mesh of an average face, eye distance 1, lies in a picture.

    Parameters
    ----------
    face : np.ndarray [shape=(478, 3)], the average face, symmetric, the middle between its eyes at the origin
    """

    def __init__(self, face: np.ndarray) -> None:
        self.face = face
        self.centre = face[STEADY].mean(0)
        self.mirror = linear_sum_assignment(cdist(face, face * [-1, 1, 1]))[1]  # the same place on the other side
        self.half = [point for point in BLENDSHAPE_POINTS if face[point, 0] < 0.01]
        across = (np.arange(PIXELS[1]) + 0.5 - PIXELS[1] / 2) / RESOLUTION
        down = (np.arange(PIXELS[0]) + 0.5) / RESOLUTION + TOP
        plane = np.stack(np.meshgrid(across, down), 2)
        depth = [griddata(face[:468, :2], face[:468, 2], plane, method) for method in ("linear", "nearest")]
        surface = np.dstack([plane, np.where(np.isnan(depth[0]), depth[1], depth[0])])
        self.surface = (surface - self.centre).reshape(-1, 3)

    def pose(self, points: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Scale, rotation [shape=(3, 3)] and place of the steady points of a mesh (Kabsch 1976): x = scale R face + place."""
        place = points[STEADY].mean(0)
        left, values, right = np.linalg.svd((points[STEADY] - place).T @ (self.face[STEADY] - self.centre))
        side = np.sign(np.linalg.det(left @ right))
        values[2] *= side
        scale = values.sum() / ((self.face[STEADY] - self.centre) ** 2).sum()
        return scale, (left * [1, 1, side]) @ right, place

    def shape(self, points: np.ndarray, pose: tuple) -> np.ndarray:
        """Mesh points of one side [shape=(k, 3)] in the axes and the scale of the average face, mean of both sides."""
        scale, rotation, place = pose
        own, other = ((points[side] - place) @ rotation / scale + self.centre for side in (self.half, self.mirror[self.half]))
        return (own + other * [-1, 1, 1]) / 2

    def picture(self, frame: np.ndarray, pose: tuple) -> np.ndarray:
        """The face as if it looked into the camera, [shape=(84, 72, 3), uint8]: what the frame shows on its surface."""
        scale, rotation, place = pose
        seen = (self.surface @ (scale * rotation[:2].T) + place[:2]).astype(np.float32).reshape(*PIXELS, 2)
        shrink = int(scale / RESOLUTION)
        if shrink > 1:  # a large face is shrunk by whole pixels first, so that nothing is skipped
            size = np.array(frame.shape[1::-1])
            low = np.clip(seen.min((0, 1)).astype(int) - shrink, 0, size - shrink)
            high = np.clip(seen.max((0, 1)).astype(int) + shrink, low + shrink, size)
            frame = cv2.resize(frame[low[1] : high[1], low[0] : high[0]], (high - low) // shrink, interpolation=cv2.INTER_AREA)
            seen = (seen - low) * ((high - low) // shrink / (high - low))
            seen = seen.astype(np.float32)
        return cv2.remap(frame, seen - np.float32(0.5), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def edges(picture: np.ndarray, cell: int) -> np.ndarray:
    """Edges of a picture of the upright face in cells, [shape=(h / cell, w / cell / 2, 8)].

    As histograms of oriented gradients (Dalal & Triggs 2005): gradients along eight directions where they are positive, mean
    over the cell, in parts of their strength in 3 x 3 cells; mean of both sides of the face.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1)
    falling, rising = DIAGONAL * (across + down), DIAGONAL * (across - down)
    cells = [
        cv2.resize(
            cv2.max(cv2.merge([one, -one, other, -other]), 0.0),
            (grey.shape[1] // cell, grey.shape[0] // cell),
            interpolation=cv2.INTER_AREA,
        )
        for one, other in ((across, down), (falling, rising))
    ]
    cells = np.concatenate(cells, 2)
    cells /= np.sqrt(cv2.blur((cells**2).sum(2), (3, 3)) + FLAT)[:, :, None]
    return ((cells + cells[:, ::-1, MIRRORED]) / 2)[:, : cells.shape[1] // 2]


@dataclass(frozen=True)
class FaceUnitModel:
    """What the face units do to the measures, K units and M measures (the first one is no measure but the turn).

    units : names of the units, without sides
    face : np.ndarray [shape=(478, 3)], the average mesh
    neutral : np.ndarray [shape=(M,)], of the population
    responses : np.ndarray [shape=(K, M - 1)], at amplitude 1
    person, population : np.ndarray [shape=(M - 1, K)]
        Responses times the inverse covariance of the noise, about a person's neutral values and about the population's.
    drawn_person, drawn_population : np.ndarray [shape=(M - 1, K)]
        The same for rendered and drawn faces, which lamps and glasses do not disturb.
    drawn : np.ndarray [shape=(M,)]
        A constant, and weights of the measures after the turn: the log odds that a face is rendered or drawn.
    identity : np.ndarray [shape=(k, d)]
        Directions of the shape, the first k measures after the turn, in which persons differ; see `features.person`.
    """

    units: tuple[str, ...]
    face: np.ndarray
    neutral: np.ndarray
    responses: np.ndarray
    person: np.ndarray
    population: np.ndarray
    drawn_person: np.ndarray
    drawn_population: np.ndarray
    drawn: np.ndarray
    identity: np.ndarray

    @cached_property
    def upright(self) -> UprightFace:
        return UprightFace(self.face)

    def odds_of_drawn(self, measures: np.ndarray) -> float:
        """Log odds that a face of measures [shape=(M + 2,)] is rendered or drawn, not a person's."""
        return float(self.drawn[0] + self.drawn[1:] @ measures[1 : len(self.drawn)])

    def amplitudes(self, measures: np.ndarray, neutral: np.ndarray | None, drawn: bool = False) -> np.ndarray:
        """Most probable amplitudes [shape=(n, K)] of measures [shape=(n, M)]; NaN where these are NaN.

        neutral : np.ndarray [shape=(M,)], of the person; None, or NaN, for that of the population
        drawn : bool, whether these are faces that were rendered or drawn
        Measures beyond the first M are not looked at.
        """
        count = len(self.neutral)
        own = neutral is not None and not np.isnan(neutral).any()
        metrics = (self.drawn_person, self.drawn_population) if drawn else (self.person, self.population)
        metric, neutral = (metrics[0], neutral) if own else (metrics[1], self.neutral)
        precision = self.responses @ metric
        seen = (measures[:, 1:count] - neutral[1:count]) @ metric
        prior = EVIDENCE * np.sqrt(np.diag(precision)) * (1 + TURNED * measures[:, :1])
        rate = 1 / np.linalg.eigvalsh(precision)[-1]
        found = ahead = np.zeros_like(seen)
        momentum = 1.0
        for _ in range(STEPS):
            last, found = found, np.clip(ahead - rate * (ahead @ precision - seen + prior), 0, 1.2)
            momentum, before = (1 + np.sqrt(1 + 4 * momentum**2)) / 2, momentum
            ahead = found + (before - 1) / momentum * (found - last)
        return found


@cache
def load_face_units() -> FaceUnitModel:
    """The model beside this file."""
    with np.load(MODEL) as file:
        return FaceUnitModel(tuple(file["units"].tolist()), *(file[name].astype(np.float64) for name in ARRAYS))


ARRAYS = ("face", "neutral", "responses", "person", "population", "drawn_person", "drawn_population", "drawn", "identity")


def face_unit_weights() -> dict[str, str]:
    """SHA-256 of the model's file."""
    return {MODEL.name: sha256_of(MODEL)}


def measure_face(points: np.ndarray, blendshapes: dict[str, float], frame: np.ndarray, upright: UprightFace) -> np.ndarray:
    """All measures of one face.

    Parameters
    ----------
    points : np.ndarray [shape=(478, 3)], the mesh, pixels of the frame, z in the same scale
    blendshapes : dict of blendshape name to activation 0-1
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB
    upright : UprightFace

    Returns
    -------
    np.ndarray [shape=(M + 2,), float32]
        Turn of the head (sum of squared sines of yaw and pitch), shape, blendshapes, edges of the face, edges of the eyes; then
        (`CHEEKS`) the natural logarithm of the activation of cheekSquint, and (`DRAWN`) a 0, which becomes 1 where the face
        turns out to be rendered or drawn.
    """
    pose = upright.pose(points)
    picture = upright.picture(frame, pose)
    activations = _SIDES @ [blendshapes[name] for name in BLENDSHAPES]
    turn = (pose[1][:2, 2] ** 2).sum()
    cheeks = np.log(np.maximum([blendshapes[name] for name in CHEEK_BLENDSHAPES], FAINT)).mean()
    parts = (upright.shape(points, pose), activations, edges(picture, CELL), edges(picture[EYES], EYE_CELL))
    return np.concatenate([[turn], *(part.ravel() for part in parts), [cheeks, 0]]).astype(np.float32)
