"""Alignment of a face by a similarity transform of five points (eyes, nose tip, mouth corners).

MTCNN itself gives the five points on key frames only.  On every frame, key frames included, they are taken from the
mesh instead: the transform then follows the face without a step wherever the source of the points would change.
"""

import cv2
import numpy as np

SIDE = 224  # pixels of the square picture of an aligned face
# Where the five points come to lie: the template of 112 x 112 pixels that is customary in face recognition (Deng et
# al., "ArcFace", CVPR 2019), shrunk by .7 about the middle of the picture so that chin and brows stay well inside.
_TEMPLATE_112 = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
TEMPLATE = (_TEMPLATE_112 - [56, 66]) * 0.7 * SIDE / 112 + SIDE / 2


def similarity_transform(points: np.ndarray, template: np.ndarray = TEMPLATE) -> np.ndarray:
    """The similarity transform that brings `points` nearest to `template` (least squares; no reflection).

    Parameters
    ----------
    points, template : np.ndarray [shape=(n, 2)], pixels

    Returns
    -------
    np.ndarray [shape=(2, 3)]
        [[a, -b, x], [b, a, y]]: a rotation, one scale and a shift.
    """
    source = (points - points.mean(0)) @ [1, 1j]
    target = (template - template.mean(0)) @ [1, 1j]
    factor = np.vdot(source, target) / np.vdot(source, source).real
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, template.mean(0) - linear @ points.mean(0)])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Move points [shape=(n, 2 or 3)]; a third coordinate (depth in pixels) is scaled alone."""
    moved = points[:, :2] @ transform[:, :2].T + transform[:, 2]
    if points.shape[1] == 2:
        return moved
    return np.column_stack([moved, points[:, 2] * np.hypot(*transform[:, 0])])


def aligned_face(frame: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """The picture of the aligned face, [shape=(224, 224, 3), uint8], of a frame [shape=(h, w, 3), uint8]."""
    return cv2.warpAffine(frame, transform, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
