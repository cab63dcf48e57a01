"""Gaze and eye landmarks: an eyeball at a known place behind the corners of the eye, turned to where the picture shows
its iris (the eyeball model of Baltrusaitis et al., "OpenFace 2.0", FG 2018, section III-D).

The face mesh tells where corners and lids are, and roughly where the irises are: well enough sideways, hardly up and
down, where the lids hide them.  That rough gaze is the prior of a search in the picture (`features.iris`).  In camera
axes (0, 0, -1) looks into the camera; eye 0 is the one on the left of the image.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from features import iris
from features.landmarks import EYE_CORNERS_68, MESH_IRIS, MESH_LIDS
from features.pose import Camera

EYEBALL_RADII = (12.0, 13.5, 15.0)  # mm: people's, as in OpenFace, and larger ones; the picture decides
# From the middle of the corners of the mesh to the eyeball's centre, head axes, in radii of the eyeball.
CENTRES = np.array([[-0.047, -0.076, 0.74], [0.047, -0.076, 0.74]])
# The corners of the mesh follow the eye up and down by this share of the iris's way.
FOLLOWING = 0.2
# The rough gaze from the mesh: sine of its yaw = factor x sideways turn of the irises; sine of its pitch = factor x their
# turn downwards + factor / mm x height of the lower lid + constant. Least squares over rendered heads.
ROUGH_YAW, ROUGH_PITCH = 1.19, (2.4, -0.052, 0.063)
ROUGH_DEVIATIONS = np.radians([5, 9])  # of the rough gaze from the true one
OPEN = 4.0  # mm between the lids; with less the rough gaze is drawn towards straight ahead
DIVERGENCE = 0.3  # share of a difference of the two yaws that is believed: most of it is noise
_TURNS = np.arange(8) * np.pi / 4
_NO_TRANSFORM = np.eye(2, 3)


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


def gaze_of(
    mesh: np.ndarray,
    shape: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    camera: Camera,
    frame: np.ndarray | None = None,
    transform: np.ndarray = _NO_TRANSFORM,
) -> Gaze:
    """Gaze of both eyes.

    Parameters
    ----------
    mesh : np.ndarray [shape=(478, 2)], pixels
    shape : np.ndarray [shape=(68, 3)], mm, head axes
    rotation, translation : pose of the head, [shape=(3, 3)] and [shape=(3,)] mm
    camera : Camera
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB, optional
        The picture in which the irises are looked for; without it the mesh alone tells the gaze.
    transform : np.ndarray [shape=(2, 3)], from pixels of the frame to those of mesh and camera
    """
    eyes = [eye_of(number, mesh, shape, rotation, translation, camera) for number in (0, 1)]
    angles, radius = turned_eyes(eyes, frame, transform)
    landmarks, pixels = [], []
    for number, (eye, (yaw, pitch)) in enumerate(zip(eyes, angles, strict=True)):
        centre = eye.middle + rotation @ (radius * CENTRES[number])
        seen_direction = rotation @ direction_of(yaw, followed(pitch))
        lids = mesh[MESH_LIDS[number]]
        rims = centre + circles(seen_direction, radius, (iris.IRIS, iris.PUPIL))
        landmarks += [rims[0], on_sphere(camera.rays(lids), centre, radius), rims[1]]
        pixels += [camera.project(rims[0]), lids, camera.project(rims[1])]
    yaws = angles[:, 0].mean() + DIVERGENCE * (angles[:, 0] - angles[:, 0].mean())
    directions = direction_of(yaws, angles[:, 1].mean()) @ rotation.T  # up and down both eyes go together
    return Gaze(directions, np.concatenate(landmarks), np.concatenate(pixels))


def direction_of(yaw: float | np.ndarray, pitch: float | np.ndarray) -> np.ndarray:
    """Unit vectors [shape=(..., 3)], head axes; yaw to the right of the image, pitch down, from straight ahead."""
    yaw, pitch = np.broadcast_arrays(yaw, pitch)
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], -1)


def followed(pitch: float | np.ndarray) -> float | np.ndarray:
    """The pitch as it shows against corners of the eye that follow it."""
    return np.arcsin((1 - FOLLOWING) * np.sin(pitch))


_SEEN_DIRECTIONS = direction_of(iris.YAW, followed(iris.PITCH)).astype(np.float32)


def turned_eyes(eyes: list[Eye], frame: np.ndarray | None, transform: np.ndarray) -> tuple[np.ndarray, float]:
    """(yaw, pitch) of both eyes in the head [shape=(2, 2)], radians, and the radius of the eyeballs, mm."""
    rough = rough_gaze(eyes)
    if frame is None:
        return np.tile(rough, (2, 1)), EYEBALL_RADII[0]
    to_frame = np.vstack([cv2.invertAffineTransform(transform), [0, 0, 1]])
    patches = [
        iris.eye_patch(frame, (to_frame @ np.vstack([eye.to_picture, [0, 0, 1]]))[:2], eye.lids, eye.view) for eye in eyes
    ]
    apart = (np.stack([iris.YAW, iris.PITCH], 1) - rough) / ROUGH_DEVIATIONS
    expected = -(apart**2).sum(1) / 2
    found = {
        radius: [
            iris.evidence(patch, radius * centre, radius, _SEEN_DIRECTIONS) + expected
            for patch, centre in zip(patches, CENTRES, strict=True)
        ]
        for radius in EYEBALL_RADII
    }
    radius = max(found, key=lambda radius: (found[radius][0] + found[radius][1] - expected).max())
    return np.array([iris.best_direction(own) for own in found[radius]]), radius


def rough_gaze(eyes: list[Eye]) -> np.ndarray:
    """(yaw, pitch) [shape=(2,)] of both eyes, radians, as the mesh has them."""
    radius = EYEBALL_RADII[-1]
    x, y, _ = np.mean(
        [
            iris.surface(np.array([[*eye.iris, 0]]) - radius * centre, eye.view, radius * np.cos(iris.IRIS))[:, 0]
            for eye, centre in zip(eyes, CENTRES, strict=True)
        ],
        0,
    )
    lower = np.mean([eye.lower for eye in eyes])
    opening = lower - np.mean([eye.upper for eye in eyes])
    factor, lid_factor, constant = ROUGH_PITCH
    sines = np.array([ROUGH_YAW * x, factor * y + lid_factor * lower + constant])
    return np.arcsin(np.clip(sines * np.clip(opening / OPEN, 0, 1), -0.8, 0.8))


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
