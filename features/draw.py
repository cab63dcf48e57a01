"""Draw what was measured on a face over its picture, to look at: points, eyes, gaze and the axes of the head."""

import cv2
import numpy as np

from features.vision import FaceGeometry

POINT, EYE, GAZE = (0, 255, 0), (0, 160, 255), (255, 220, 0)
AXES = ((255, 60, 60), (60, 255, 60), (80, 80, 255))  # right, down, forward out of the face
AXIS_LENGTH, GAZE_LENGTH = 50.0, 40.0  # mm


def draw_face(picture: np.ndarray, face: FaceGeometry, zoom: int = 2) -> np.ndarray:
    """The picture, enlarged, with the 68 points, the eye landmarks, the gaze of both eyes and the head's axes.

    Parameters
    ----------
    picture : np.ndarray [shape=(h, w, 3), uint8], RGB
        The frame, or the aligned face, whichever `face` was measured in.
    face : FaceGeometry
    zoom : int

    Returns
    -------
    np.ndarray [shape=(zoom h, zoom w, 3), uint8]
    """
    canvas = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)

    def spot(points: np.ndarray, colour: tuple[int, int, int]) -> None:
        for x, y in points:
            cv2.circle(canvas, (round(x * zoom), round(y * zoom)), 1, colour, -1, cv2.LINE_AA)

    def arrow(start: np.ndarray, step: np.ndarray, colour: tuple[int, int, int]) -> None:
        first, last = ((start * zoom).round().astype(int).tolist(), ((start + step) * zoom).round().astype(int).tolist())
        cv2.arrowedLine(canvas, first, last, colour, 1, cv2.LINE_AA, tipLength=0.15)

    spot(face.points, POINT)
    spot(face.gaze.pixels, EYE)
    for eye, direction in enumerate(face.gaze.directions):
        iris = face.gaze.pixels[28 * eye : 28 * eye + 8].mean(0)
        arrow(iris, face.fit.scale * GAZE_LENGTH * direction[:2], GAZE)
    nose = face.points[30]
    for axis, colour in zip(face.fit.rotation.T * [[1], [1], [-1]], AXES, strict=True):
        arrow(nose, face.fit.scale * AXIS_LENGTH * axis[:2], colour)
    return canvas
