"""The eyeball: its measures in people and in rendered heads, its place behind the corners of the eye, and its turns.

Turns are (yaw, pitch) in the head, radians: yaw to the right of the image, pitch down, (0, 0) straight out of the face.
Eye 0 is the one on the left of the image.
"""

from dataclasses import dataclass

import numpy as np

from features import iris
from features.landmarks import EYE_CORNERS_68, MESH_IRIS, MESH_LIDS
from features.pose import Camera


@dataclass(frozen=True)
class Eyeball:
    """An eyeball in its orbit.

    radius : float, mm, from the centre of its turns to the rim of the iris
    iris, pupil : float, half their opening angles, seen from that centre, radians
    centre : np.ndarray [shape=(2, 3)], mm from the middle of the corners of each eye as the mesh has them, head axes
    """

    radius: float
    iris: float
    pupil: float
    centre: np.ndarray


def both_sides(right: float, down: float, back: float) -> np.ndarray:
    """Centres [shape=(2, 3)] of both eyes from that of eye 0."""
    return np.array([[right, down, back], [-right, down, back]])


# People's.  The iris is 11.8 mm wide (11.71 +- 0.42, Rufer, Schroder & Erb, Cornea 2005) and its plane 10.7 mm before
# the centre of the eye's turns: that lies 13.5 mm behind the cornea (Park & Park 1933), the iris 2.8.  Where the centre
# lies from the corners of the mesh is seen on people who look into the lens: at that depth their gaze stays there when
# the head turns, at that height and breadth it is straight.
PEOPLE = Eyeball(12.2, 0.504, 0.19, both_sides(-1.3, -2.0, 5.5))
# Rendered heads', in several sizes; the centre is as far behind the corners as the eyeball is large.
LARGE = tuple(
    Eyeball(radius, iris.IRIS, iris.PUPIL, radius * both_sides(-0.047, -0.076, 0.74)) for radius in (12.0, 13.5, 15.0)
)
# The eye whose iris is told from people's by its size: that of the mean rendered head.
LARGE_IRIS = Eyeball(15.0, 0.558, iris.PUPIL, both_sides(-0.5, -1.6, 12.1))
FOLLOWING = 0.2  # share of the iris's way up and down that the corners of the mesh go with it
STEEPEST = 0.8  # sine of the largest turn
_TURNS = np.arange(8) * np.pi / 4


@dataclass(frozen=True)
class Eye:
    """One eye of a mesh, in mm of the plane of the face: x to the right and y down from the middle of its corners.

    to_picture : np.ndarray [shape=(2, 3)], from mm to pixels
    middle : np.ndarray [shape=(3,)], of the corners, camera axes, mm
    view : np.ndarray [shape=(3,)], unit vector from the camera, head axes
    lids : np.ndarray [shape=(12, 2)]
    iris : np.ndarray [shape=(2,)], its centre as the mesh has it
    """

    to_picture: np.ndarray
    middle: np.ndarray
    view: np.ndarray
    lids: np.ndarray
    iris: np.ndarray

    @property
    def upper(self) -> float:
        """Height of the upper lid, downwards."""
        return self.lids[1:6, 1].mean()

    @property
    def lower(self) -> float:
        """Height of the lower lid, downwards."""
        return self.lids[7:, 1].mean()

    def turn_to_iris(self, eyeball: Eyeball, centre: np.ndarray) -> tuple[float, float]:
        """(yaw, pitch) at which an eyeball at a centre [shape=(3,)] shows its iris where the mesh has it."""
        iris_plane = eyeball.radius * np.cos(eyeball.iris)
        x, y, z = iris.surface(np.array([[*self.iris, 0]]) - centre, self.view, iris_plane)[:, 0]
        return np.arctan2(x, -z), np.arcsin(y)


def eye_of(
    number: int, mesh: np.ndarray, shape: np.ndarray, rotation: np.ndarray, translation: np.ndarray, camera: Camera
) -> Eye:
    """The eye of this number; the parameters are those of `gaze_of`."""
    # The corners are taken where they are seen, at the depth of the shape: an error of the shape of 2 mm would turn the
    # gaze by 10 degrees.
    depth = (shape[list(EYE_CORNERS_68[number])] @ rotation.T + translation)[:, 2].mean()
    lids = mesh[MESH_LIDS[number]]
    ray = camera.rays(lids[[0, 6]].mean(0)[None])[0]
    middle = ray * depth
    slope = camera.focal / depth * np.array([[1, 0, -ray[0]], [0, 1, -ray[1]]])  # of the projection, there
    to_picture = np.column_stack([slope @ rotation[:, :2], camera.project(middle[None])[0]])
    plane = (np.vstack([lids, mesh[MESH_IRIS[number]]]) - to_picture[:, 2]) @ np.linalg.inv(to_picture[:, :2]).T
    return Eye(to_picture, middle, rotation.T @ ray / np.linalg.norm(ray), plane[:12], plane[12])


def direction_of(yaw: float | np.ndarray, pitch: float | np.ndarray) -> np.ndarray:
    """Unit vectors [shape=(..., 3)], head axes; yaw to the right of the image, pitch down, from straight ahead."""
    yaw, pitch = np.broadcast_arrays(yaw, pitch)
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], -1)


def followed(pitch: float | np.ndarray) -> float | np.ndarray:
    """The pitch as it shows against corners of the eye that follow it."""
    return np.arcsin((1 - FOLLOWING) * np.sin(pitch))


def leading(pitch: float | np.ndarray) -> float | np.ndarray:
    """The pitch that shows as this one, the inverse of `followed`."""
    return np.arcsin(np.clip(np.sin(pitch) / (1 - FOLLOWING), -STEEPEST, STEEPEST))


def on_sphere(rays: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Where rays from the camera [shape=(n, 3)] first meet an eyeball; for a ray that misses it, the nearest point."""
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    along = rays @ centre
    inside = radius**2 - (centre @ centre - along**2)
    points = rays * (along - np.sqrt(np.maximum(inside, 0)))[:, None]
    outward = points - centre
    return centre + outward * (radius / np.linalg.norm(outward, axis=1, keepdims=True))


def circles(direction: np.ndarray, radius: float, angles: tuple[float, ...]) -> np.ndarray:
    """Eight points of an eyeball at each of the `angles` from the gaze [shape=(len(angles), 8, 3)], from its centre, mm.

    They go from the left of the image over the top.
    """
    x, y, z = direction
    right = np.array([-z, 0, x]) / np.hypot(x, z)
    down = np.array([-y * right[2], x * right[2] - z * right[0], y * right[0]])
    around = -np.cos(_TURNS)[:, None] * right - np.sin(_TURNS)[:, None] * down
    return radius * np.array([np.cos(angle) * direction + np.sin(angle) * around for angle in angles])
