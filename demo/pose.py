"""Rotations in camera axes (x right, y down, z away from the camera), as OpenFace writes its head pose.

R = Rx(pitch) Ry(yaw) Rz(roll). Of a face that looks into the camera, positive pitch turns the nose downwards, positive
yaw turns it to the left of the image, positive roll turns the head clockwise in the image.
"""

from __future__ import annotations

import numpy as np


def euler_to_rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rotation matrix [3, 3], float64, of OpenFace's angles (pose_Rx, pose_Ry, pose_Rz) in radians."""
    cx, sx, cy, sy, cz, sz = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return rx @ ry @ rz


def rotation_to_euler(rotation: np.ndarray) -> tuple[float, float, float]:
    """Inverse of `euler_to_rotation` for |yaw| < pi / 2: (pitch, yaw, roll) in radians."""
    yaw = np.arcsin(np.clip(rotation[0, 2], -1, 1))
    pitch = np.arctan2(-rotation[1, 2], rotation[2, 2])
    roll = np.arctan2(-rotation[0, 1], rotation[0, 0])
    return float(pitch), float(yaw), float(roll)


def similarity(shape: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and rotation [3, 3] that bring a centred `shape` nearest to a centred `target` (Kabsch, Umeyama)."""
    left, values, right = np.linalg.svd(shape.T @ target)
    sign = np.array([1, 1, np.linalg.det(left @ right)])
    return float((values * sign).sum() / (shape**2).sum()), (left * sign @ right).T
