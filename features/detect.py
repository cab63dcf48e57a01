"""Faces by MTCNN (Zhang, Zhang, Li & Qiao, "Joint Face Detection and Alignment Using Multi-task Cascaded
Convolutional Networks", IEEE SPL 2016), in the implementation and with the weights of `facenet-pytorch`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np

from features.hashing import sha256_of

SIDE = 360  # the shorter side of the picture that MTCNN sees, pixels: bounds the time on large videos
SMALLEST_FACE = 40  # in that picture, pixels
SMALLEST_OF_ALL = 20  # the same where the first look finds no face: takes twice as long
NETWORKS = ("pnet", "rnet", "onet")


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face.

    box : np.ndarray [shape=(4,)], left, top, right, bottom, pixels
    probability : float, 0-1
    points : np.ndarray [shape=(5, 2)], eyes, nose tip, mouth corners, pixels
    """

    box: np.ndarray
    probability: float
    points: np.ndarray

    @property
    def area(self) -> float:
        return float(np.prod(self.box[2:] - self.box[:2]))


class FaceDetector:
    """MTCNN on single frames."""

    @cached_property
    def network(self) -> facenet_pytorch.MTCNN:
        return facenet_pytorch.MTCNN(keep_all=True, min_face_size=SMALLEST_FACE, device="cpu")

    @cached_property
    def fine_network(self) -> facenet_pytorch.MTCNN:
        """The same for the smallest faces."""
        return facenet_pytorch.MTCNN(keep_all=True, min_face_size=SMALLEST_OF_ALL, device="cpu")

    @property
    def weights(self) -> dict[str, str]:
        """File name and SHA-256 of each network."""
        folder = Path(facenet_pytorch.__file__).parent / "data"
        return {f"mtcnn {name}.pt": sha256_of(folder / f"{name}.pt") for name in NETWORKS}

    def detect(self, frame: np.ndarray, smallest: float = 0.0) -> list[Face]:
        """The faces of one frame, the largest first; small ones are looked for where there is no other.

        Parameters
        ----------
        frame : np.ndarray [shape=(h, w, 3), uint8], RGB
        smallest : float
            Side of a face, pixels of the frame; smaller ones need not be found, which saves time. Zero: all count.
        """
        scale = min(1.0, SIDE / min(frame.shape[:2]), SMALLEST_FACE / max(smallest, 1.0))
        if scale * min(frame.shape[:2]) < SMALLEST_FACE:  # no face fits in, and MTCNN stops where it has nothing to look at
            return []
        if scale < 1:
            frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes, probabilities, points = self.network.detect(frame, landmarks=True)
        if boxes is None and smallest == 0:
            boxes, probabilities, points = self.fine_network.detect(frame, landmarks=True)
        if boxes is None:
            return []
        faces = [
            Face(np.float64(box) / scale, float(probability), np.float64(five) / scale)
            for box, probability, five in zip(boxes, probabilities, points, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.area)
