"""Camera, rotations and head pose.

Camera axes: x right, y down, z away from the camera; lengths in mm, angles in radians.  A head rotation is
R = Rx Ry Rz (OpenFace 2), R = identity for a face that looks straight along -z: positive rx looks down, positive ry
turns the nose to the left of the image, positive rz leans the head clockwise in the image.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: focal length and principal point, pixels."""

    focal: float
    cx: float
    cy: float

    @property
    def matrix(self) -> np.ndarray:
        return np.array([[self.focal, 0, self.cx], [0, self.focal, self.cy], [0, 0, 1]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points in mm [shape=(n, 3)] to pixels [shape=(n, 2)]."""
        return self.focal * points[:, :2] / points[:, 2:] + [self.cx, self.cy]

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions [shape=(n, 3)], z = 1, that are seen at `pixels` [shape=(n, 2)]."""
        return np.column_stack([(pixels - [self.cx, self.cy]) / self.focal, np.ones(len(pixels))])


def camera_of(width: int, height: int) -> Camera:
    """The camera that OpenFace 2 assumes where none is known: f = (500 w/640 + 500 h/480) / 2, centre of the picture."""
    return Camera((500 * width / 640 + 500 * height / 480) / 2, width / 2, height / 2)


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """R = Rx Ry Rz [shape=(3, 3)] of angles (rx, ry, rz)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    return (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )


def euler_angles(rotation: np.ndarray) -> np.ndarray:
    """Angles (rx, ry, rz) [shape=(3,)] of R = Rx Ry Rz; ry lies within a quarter turn."""
    return np.array(
        [
            np.arctan2(-rotation[1, 2], rotation[2, 2]),
            np.arcsin(np.clip(rotation[0, 2], -1, 1)),
            np.arctan2(-rotation[0, 1], rotation[0, 0]),
        ]
    )
