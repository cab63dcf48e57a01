"""From the 478 points of the face mesh to the 68-point scheme, the eyes and the five alignment points.

Left and right are those of the image: eye 0 is the eye on the left of the image (the subject's right eye).

The 68 points lie where people who annotate photographs put them: each is a weighted sum of all points of the mesh, whose
weights go with the turn of the head, as hands follow the outline that is seen.  landmarks_68.npz holds the weights
(`benchmarks/landmarks_fit.py` makes it, from hand-set photographs and rendered heads).
"""

from functools import cache
from pathlib import Path

import numpy as np

from features.hashing import sha256_of

ARRAYS = Path(__file__).with_name("landmarks_68.npz")
SURFACE = 468  # points of the mesh before those of the irises, which move with the gaze
EAR_SIDES_AND_CHIN, NOSE_TIP = (234, 454, 152), 4
LARGEST_TURN = 1.4  # of the photographs: about 50 degrees

# The mesh point nearest to each of the 68 points of the shape model (features/shape_model.npz), which are vertices of the
# heads that it was made of: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips 48-67.  21 of the places lie between two
# points of the mesh; MESH_BESIDE and SHARES say between which.  Shares are quarters, the same for left and right, by least
# distance on 24 rendered heads.  People who annotate photographs put their points elsewhere (`landmarks_68`).
# fmt: off
MESH_OF_68 = np.array([
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87])

# 68-point index -> (second mesh point, its share)
_BETWEEN = {
    3: (172, 0.25), 4: (136, 0.25), 5: (150, 0.5), 6: (176, 0.5),
    10: (400, 0.5), 11: (379, 0.5), 12: (365, 0.25), 13: (397, 0.25),
    17: (46, 0.5), 18: (53, 0.5), 19: (52, 0.25), 20: (55, 0.25),
    23: (285, 0.25), 24: (282, 0.25), 25: (283, 0.5), 26: (276, 0.5),
    27: (6, 0.5), 28: (195, 0.25), 30: (1, 0.5), 39: (155, 0.5), 42: (382, 0.5)}
MESH_BESIDE = np.array([_BETWEEN.get(i, (point, 0.0))[0] for i, point in enumerate(MESH_OF_68)])
SHARES = np.array([[_BETWEEN.get(i, (0, 0.0))[1]] for i in range(68)])

# The 68-point index of the same place on the other side of the face.
MIRROR_OF_68 = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65])
# fmt: on

ONE_SIDE = np.flatnonzero(np.arange(68) <= MIRROR_OF_68)  # points of the image's left, and of the middle
JAW = slice(0, 17)
EYES_68 = (slice(36, 42), slice(42, 48))
EYE_CORNERS_68 = ((36, 39), (42, 45))  # image-left corner, image-right corner of each eye

# The mesh's depth turns with the head (gain 1.04 to 1.1), but its relief is that of an average face whoever is seen (a
# person's own relief shows in it with a gain of .15 only).  RELIEF is where that face's points lie beyond those of the mean
# of `features.shape_model`, mm.  Least squares on 24 rendered heads; jaw points are not used.
RELIEF = np.zeros(68)
RELIEF[17:27], RELIEF[27:30], RELIEF[30:48] = -5, -8, -1  # brows, nose root and bridge, nose tip and base with the eyes
RELIEF[48:68], RELIEF[[48, 54]] = 4, 7  # lips, corners of the mouth

# Per eye the centre of the iris and twelve points of the lids: the image-left corner, the upper lid to the other
# corner, and the lower lid back (order of OpenFace's eye landmarks 8-19).
MESH_IRIS = (468, 473)
# fmt: off
MESH_LIDS = np.array([[33, 161, 160, 159, 158, 157, 133, 154, 153, 145, 144, 163],
                      [362, 384, 385, 386, 387, 388, 263, 390, 373, 374, 380, 381]])
# fmt: on


@cache
def load_mirror() -> np.ndarray:
    """The mesh point [shape=(468,)] on the other side of the face of each."""
    with np.load(ARRAYS) as arrays:
        return arrays["mirror"]


@cache
def load_weights() -> np.ndarray:
    """Weights [shape=(2, 68, 468)] of the mesh points: of a face seen from the front, and what a turn of 1 adds.

    The file holds the points of the image's left and of the middle; those of the right are their mirror images.
    """
    with np.load(ARRAYS) as arrays:
        one_side = arrays["weights"].astype(np.float64)
    weights = np.empty((2, 68, SURFACE))
    mirrored = one_side[:, :, load_mirror()] * [[[1]], [[-1]]]  # mirrored, a face turns the other way
    weights[:, MIRROR_OF_68[ONE_SIDE]] = mirrored
    weights[:, ONE_SIDE] = one_side
    return weights


def landmark_weights() -> dict[str, str]:
    """File name and SHA-256 of the weights."""
    return {ARRAYS.name: sha256_of(ARRAYS)}


def turn_of(mesh: np.ndarray) -> np.ndarray:
    """How far faces turn to the side, by where the tip of the nose lies between the sides of the face.

    Parameters
    ----------
    mesh : np.ndarray [shape=(..., 478, d)]

    Returns
    -------
    np.ndarray [shape=(...)]
        Difference of the nose's barycentric coordinates in the triangle of ears and chin, so that no affine transform of
        the picture changes it: 0 from the front, about 0.7 at 30 degrees of yaw, at most `LARGEST_TURN`.
    """
    left, right, chin = (mesh[..., i, :2] for i in EAR_SIDES_AND_CHIN)
    nose, left, right = mesh[..., NOSE_TIP, :2] - chin, left - chin, right - chin
    area = _cross(left, right)
    turn = (_cross(nose, right) - _cross(left, nose)) / np.where(area == 0, np.inf, area)
    return np.clip(turn, -LARGEST_TURN, LARGEST_TURN)


def landmarks_68(mesh: np.ndarray) -> np.ndarray:
    """The 68 points of a mesh as hands set them; `mesh` is [shape=(478, d)], the result [shape=(68, d)]."""
    front, turned = load_weights()
    return (front + turn_of(mesh) * turned) @ mesh[:SURFACE]


def shape_points(mesh: np.ndarray) -> np.ndarray:
    """The 68 points to which the shape model is fitted, fixed places of the head; [shape=(478, d)] to [shape=(68, d)]."""
    return (1 - SHARES) * mesh[MESH_OF_68] + SHARES * mesh[MESH_BESIDE]


def five_points(mesh: np.ndarray) -> np.ndarray:
    """Eye centres, nose tip and mouth corners, in the order of MTCNN.

    Parameters
    ----------
    mesh : np.ndarray [shape=(478, d)]

    Returns
    -------
    np.ndarray [shape=(5, d)]
        Left eye, right eye, nose tip, left and right mouth corner, left and right of the image.
    """
    return np.stack([mesh[MESH_LIDS[0]].mean(0), mesh[MESH_LIDS[1]].mean(0), mesh[4], mesh[61], mesh[291]])


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross product [shape=(...)] of vectors [shape=(..., 2)]."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
