"""Gaze and eye landmarks: the centre of the iris against an eyeball sphere of 12 mm (as in Baltrusaitis et al.,
"OpenFace 2.0", FG 2018, section III-D).

The eyeball's centre lies at a fixed place, in head axes, behind the middle of the two corners of the eye.  Where the
iris is seen beside that centre tells how far the eye is turned.  In camera axes (0, 0, -1) looks into the camera; eye 0
is the one on the left of the image.
"""

from dataclasses import dataclass

import numpy as np

from features.landmarks import EYE_CORNERS_68, MESH_IRIS, MESH_LIDS
from features.pose import Camera

EYEBALL_RADIUS = 12.0  # mm, as in OpenFace
IRIS_RADIUS, PUPIL_RADIUS = 5.9, 2.0  # mm
LARGEST_TURN = np.radians(60)
# Least squares over 12 rendered heads of known pose and gaze.  The mesh's irises move less than the real ones, above
# all up and down, where the lids follow the eye and cover it; with an attenuation of 1 the gaze is 15 degrees too low.
EYEBALLS = np.array([[-1.2, -0.7, 7.2], [1.2, -0.7, 7.2]])  # from the middle of the corners to the centre, mm, head axes
ATTENUATION = np.array([0.82, 0.44])  # seen movement / real movement, sideways and up-down
_TURNS = np.arange(8) * np.pi / 4


@dataclass(frozen=True)
class Gaze:
    """Gaze of one frame.

    directions : np.ndarray [shape=(2, 3)], unit vectors, camera axes
    landmarks : np.ndarray [shape=(56, 3)]
        Camera axes, mm; 28 per eye: 0-7 iris rim, 8-19 lids, 20-27 pupil rim.
    pixels : np.ndarray [shape=(56, 2)], the same points where they are seen in the picture
    """

    directions: np.ndarray
    landmarks: np.ndarray
    pixels: np.ndarray

    @property
    def angles(self) -> np.ndarray:
        """(x, y) [shape=(2,)], radians: atan2(x, -z), atan2(y, -z) of the mean direction."""
        x, y, z = self.directions.mean(0)
        return np.array([np.arctan2(x, -z), np.arctan2(y, -z)])


def gaze_of(mesh: np.ndarray, shape: np.ndarray, rotation: np.ndarray, translation: np.ndarray, camera: Camera) -> Gaze:
    """Gaze of both eyes.

    Parameters
    ----------
    mesh : np.ndarray [shape=(478, 2)], pixels
    shape : np.ndarray [shape=(68, 3)], mm, head axes
    rotation, translation : pose of the head, [shape=(3, 3)] and [shape=(3,)] mm
    camera : Camera
    """
    directions, landmarks, pixels = [], [], []
    for iris, lids, corners, eyeball in zip(MESH_IRIS, MESH_LIDS, EYE_CORNERS_68, EYEBALLS, strict=True):
        # The corners are taken where they are seen, at the depth of the shape: an error of the shape of 2 mm would
        # turn the gaze by 10 degrees.
        depth = (shape[list(corners)] @ rotation.T + translation)[:, 2].mean()
        scale = camera.focal / depth  # px/mm
        middle = mesh[lids[[0, 6]]].mean(0)
        centre = camera.rays(middle[None])[0] * depth + rotation @ eyeball
        direction = gaze_direction((mesh[iris] - middle) / scale, rotation, eyeball)
        rims = [circle(direction, radius) for radius in (IRIS_RADIUS, PUPIL_RADIUS)]
        directions.append(direction)
        landmarks += [centre + rims[0], on_sphere(camera.rays(mesh[lids]), centre), centre + rims[1]]
        pixels += [
            mesh[iris] + scale * (rims[0] - rims[0].mean(0))[:, :2],
            mesh[lids],
            mesh[iris] + scale * (rims[1] - rims[1].mean(0))[:, :2],
        ]
    return Gaze(np.array(directions), np.concatenate(landmarks), np.concatenate(pixels))


def gaze_direction(offset: np.ndarray, rotation: np.ndarray, eyeball: np.ndarray) -> np.ndarray:
    """Unit vector [shape=(3,)] of the gaze of one eye, camera axes.

    Parameters
    ----------
    offset : np.ndarray [shape=(2,)]
        From the middle of the corners of the eye to the centre of the iris as seen, mm in the picture plane.
    rotation : np.ndarray [shape=(3, 3)], of the head
    eyeball : np.ndarray [shape=(3,)], from the middle of the corners to the centre of the eyeball, mm, head axes
    """
    across = rotation[:2, 0] / np.linalg.norm(rotation[:2, 0])  # along the eyes in the picture
    upright = np.array([across, [-across[1], across[0]]])
    turned = upright.T @ (upright @ offset / ATTENUATION) - (rotation @ eyeball)[:2]
    sideways = turned / EYEBALL_RADIUS
    sideways *= min(1, np.sin(LARGEST_TURN) / max(np.linalg.norm(sideways), 1e-9))
    return np.array([*sideways, -np.sqrt(1 - sideways @ sideways)])


def on_sphere(rays: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Where rays from the camera [shape=(n, 3)] first meet the eyeball; for a ray that misses it, the nearest point."""
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    along = rays @ centre
    inside = EYEBALL_RADIUS**2 - (centre @ centre - along**2)
    points = rays * (along - np.sqrt(np.maximum(inside, 0)))[:, None]
    outward = points - centre
    return centre + outward * (EYEBALL_RADIUS / np.linalg.norm(outward, axis=1, keepdims=True))


def circle(direction: np.ndarray, radius: float) -> np.ndarray:
    """Eight points [shape=(8, 3)] of the circle of `radius` mm around the gaze, from the eyeball's centre, mm.

    They go from the left of the image over the top.
    """
    right = np.cross([0, 1, 0], -direction)
    right /= np.linalg.norm(right)
    down = np.cross(-direction, right)
    middle = direction * np.sqrt(EYEBALL_RADIUS**2 - radius**2)
    return middle + radius * (-np.cos(_TURNS)[:, None] * right - np.sin(_TURNS)[:, None] * down)
