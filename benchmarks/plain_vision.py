"""Facial landmarks the plain way: MTCNN on every frame, alignment, MediaPipe's face landmarker on the aligned face."""

import cv2
import facenet_pytorch
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from features.align import SIDE, aligned_face, similarity_transform
from features.landmarks import landmarks_68
from features.mesh import model_path


class PlainWay:
    """Both networks with their default settings, one frame at a time."""

    def __init__(self) -> None:
        self.detector = facenet_pytorch.MTCNN()
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=model_path().read_bytes()), output_face_blendshapes=True
        )
        self.landmarker = vision.FaceLandmarker.create_from_options(options)

    def landmarks(self, frame: np.ndarray) -> np.ndarray:
        """The 68 points [shape=(68, 2)], pixels, of a frame [shape=(h, w, 3), uint8, RGB]; NaN without a face."""
        _, _, points = self.detector.detect(frame, landmarks=True)
        if points is None:
            return np.full((68, 2), np.nan)
        transform = similarity_transform(np.array(points[0], float))
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=aligned_face(frame, transform))
        faces = self.landmarker.detect(image).face_landmarks
        if not faces:
            return np.full((68, 2), np.nan)
        mesh = SIDE * np.array([[point.x, point.y] for point in faces[0]])
        return landmarks_68(mesh) @ cv2.invertAffineTransform(transform)[:, :2].T + cv2.invertAffineTransform(transform)[:, 2]
