"""Draw what was measured on a face over its picture, to look at: box, 68 points, eyes, gaze and the axes of the head.

All is drawn from one row of the columns of `features.openface`, whichever source they come from.
"""

import cv2
import numpy as np

from features.openface import block_slice
from features.pose import rotation_matrix

BOX, POINT, EYE, GAZE = (255, 210, 0), (0, 255, 0), (0, 220, 255), (255, 0, 255)
AXES = ((255, 60, 60), (150, 220, 60), (70, 120, 255))  # right, down, forward out of the face
AXIS_LENGTH, GAZE_LENGTH = 1.2, 1.6  # in sizes of the face, see `draw_face`
IDENTITY = np.eye(2, 3)
SHIFT = 4  # bits of a pixel's fraction: OpenCV draws between the pixels
RADIUS = 22  # of a point, in 1/16 pixel


def draw_face(picture: np.ndarray, columns: np.ndarray, to_picture: np.ndarray = IDENTITY) -> np.ndarray:
    """A copy of a picture with the 68 points, the eye landmarks, the gaze of both eyes and the head's axes.

    What is NaN in the columns is left out. Lengths go by the size of the face, the root mean square of the points'
    distances from their middle, so that every source's scale will do.

    Parameters
    ----------
    picture : np.ndarray [shape=(h, w, 3), uint8], RGB
    columns : np.ndarray [shape=(709,)], one frame
    to_picture : np.ndarray [shape=(2, 3)]
        From the pixels that the columns are in to those of `picture`: a rotation, one scale and a shift.

    Returns
    -------
    np.ndarray [shape=(h, w, 3), uint8]
    """
    canvas = picture.copy()
    points = np.column_stack([columns[block_slice("x")], columns[block_slice("y")]])
    eyes = np.column_stack([columns[block_slice("eye_lmk_x")], columns[block_slice("eye_lmk_y")]])
    size = np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean())

    def arrow(start: np.ndarray, step: np.ndarray, colour: tuple[int, int, int]) -> None:
        if np.isfinite([start, step]).all():
            ends = _fixed(np.array([start, start + step]) @ to_picture[:, :2].T + to_picture[:, 2])
            cv2.line(canvas, ends[0], ends[1], (0, 0, 0), 4, cv2.LINE_AA, SHIFT)
            cv2.line(canvas, ends[0], ends[1], colour, 2, cv2.LINE_AA, SHIFT)

    for places, colour in ((points, POINT), (eyes, EYE)):
        for centre in _fixed(places[np.isfinite(places).all(1)] @ to_picture[:, :2].T + to_picture[:, 2]):
            cv2.circle(canvas, centre, RADIUS, colour, -1, cv2.LINE_AA, SHIFT)
    axes = rotation_matrix(columns[block_slice("pose_R")]).T * [[1], [1], [-1]]
    for axis, colour in zip(axes, AXES, strict=True):
        arrow(points[30], size * AXIS_LENGTH * axis[:2], colour)
    for eye in (0, 1):
        iris = eyes[28 * eye : 28 * eye + 8].mean(0)
        arrow(iris, size * GAZE_LENGTH * columns[block_slice(f"gaze_{eye}")][:2], GAZE)
    return canvas


def draw_box(picture: np.ndarray, box: np.ndarray, to_picture: np.ndarray = IDENTITY) -> np.ndarray:
    """A copy of a picture [shape=(h, w, 3), uint8] with the box (left, top, right, bottom) of a face, unless it is NaN."""
    canvas = picture.copy()
    if np.isfinite(box).all():
        corners = _fixed(np.reshape(box, (2, 2)) @ to_picture[:, :2].T + to_picture[:, 2])
        cv2.rectangle(canvas, corners[0], corners[1], BOX, 2, cv2.LINE_AA, SHIFT)
    return canvas


def _fixed(points: np.ndarray) -> list[tuple[int, int]]:
    """Points as OpenCV takes them, in 1/16 pixel; from far outside they are brought to where the numbers are still small."""
    return [tuple(point) for point in (np.clip(points, -10000, 10000) * (1 << SHIFT)).round().astype(int).tolist()]
