"""A point distribution model (PDM) of the 68 facial points in 3D, and its fit to points in a picture.

A shape is mean + sum_k p_k mode_k, in mm and in head axes: x to the right of the image, y down, z away from the camera
for a face that looks into it.  The 34 modes are the principal components of heads that vary in identity and expression
(`demo/build_shape_model.py` makes shape_model.npz from MakeHuman's CC0 heads); they are orthonormal and symmetric or
antisymmetric in left and right.  The fit is the weak-perspective one of OpenFace (Baltrusaitis, Robinson & Morency,
"Constrained Local Neural Fields", ICCV-W 2013, eq. 1): x = s R_xy (mean + modes p) + t.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from features.hashing import sha256_of
from features.landmarks import JAW

ARRAYS = Path(__file__).with_name("shape_model.npz")
# Standard deviation of a point about its model, mm: what landmarker and model disagree by inside the face and, as the
# jaw points of the mesh are those of the outline, on the jaw.
NOISE, JAW_NOISE = 4.0, 12.0
ITERATIONS, FIRST_ITERATIONS = 3, 12


@dataclass(frozen=True)
class Fit:
    """A fitted shape and its weak-perspective pose.

    scale : float, px/mm
    rotation : np.ndarray [shape=(3, 3)]
    translation : np.ndarray [shape=(2,)], pixels
    coefficients : np.ndarray [shape=(34,)], mm
    shape : np.ndarray [shape=(68, 3)], mm, head axes
    error : float, root mean square distance inside the face, mm
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    coefficients: np.ndarray
    shape: np.ndarray
    error: float


@dataclass(frozen=True)
class ShapeModel:
    """The point distribution model.

    mean : np.ndarray [shape=(68, 3)], mm
    modes : np.ndarray [shape=(34, 68, 3)], orthonormal
    deviations : np.ndarray [shape=(34,)], standard deviation of each coefficient, mm
    """

    mean: np.ndarray
    modes: np.ndarray
    deviations: np.ndarray

    @property
    def weights(self) -> dict[str, str]:
        """File name and SHA-256 of the arrays."""
        return {ARRAYS.name: sha256_of(ARRAYS)}

    def shape(self, coefficients: np.ndarray) -> np.ndarray:
        """The 68 points [shape=(68, 3)], mm, of coefficients [shape=(34,)]."""
        return self.mean + np.tensordot(coefficients, self.modes, 1)

    def fit(self, points: np.ndarray, start: Fit | None = None) -> Fit:
        """Fit shape and weak-perspective pose by regularised least squares (Gauss-Newton).

        Minimises sum_i |x_i - s R_xy (mean + modes p)_i - t|^2 / (s noise_i)^2 + sum_k (p_k / deviation_k)^2.

        Parameters
        ----------
        points : np.ndarray [shape=(68, 2)], pixels
        start : Fit, optional
            The fit of the frame before.  Without it the search starts from the mean shape.
        """
        noise = np.full(68, NOISE)
        noise[JAW] = JAW_NOISE
        weights = np.repeat(1 / noise, 2)
        if start is None:
            coefficients, iterations = np.zeros(len(self.modes)), FIRST_ITERATIONS
            rotation, scale, translation = self._upright_pose(points)
        else:
            coefficients, iterations = start.coefficients, ITERATIONS
            rotation, scale, translation = start.rotation, start.scale, start.translation
        for _ in range(iterations):
            shape = self.shape(coefficients)
            turned = shape @ rotation.T
            residual = (points - scale * turned[:, :2] - translation) / scale  # mm
            # Columns: relative scale, small rotation about the camera's axes, shift (mm), coefficients.
            jacobian = np.zeros((68, 2, 6 + len(self.modes)))
            jacobian[:, :, 0] = turned[:, :2]
            jacobian[:, 1, 1], jacobian[:, 0, 2] = -turned[:, 2], turned[:, 2]
            jacobian[:, 0, 3], jacobian[:, 1, 3] = -turned[:, 1], turned[:, 0]
            jacobian[:, 0, 4] = jacobian[:, 1, 5] = 1
            jacobian[:, :, 6:] = (self.modes @ rotation[:2].T).transpose(1, 2, 0)
            jacobian = jacobian.reshape(136, -1) * weights[:, None]
            prior = np.concatenate([np.zeros(6), self.deviations**-2])
            gradient = jacobian.T @ (residual.ravel() * weights) - prior * np.concatenate([np.zeros(6), coefficients])
            step = np.linalg.solve(jacobian.T @ jacobian + np.diag(prior), gradient)
            translation = translation + scale * step[4:6]
            scale = scale * np.exp(step[0])
            rotation = cv2.Rodrigues(step[1:4])[0] @ rotation
            coefficients = coefficients + step[6:]
        shape = self.shape(coefficients)
        apart = (points - translation) / scale - (shape @ rotation.T)[:, :2]
        error = np.sqrt((apart[JAW.stop :] ** 2).sum(1).mean())
        return Fit(float(scale), rotation, translation, coefficients, shape, float(error))

    def _upright_pose(self, points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """A pose in the picture plane (scale, roll, shift) that brings the mean shape near to `points`."""
        source, target = (self.mean[:, :2] - self.mean[:, :2].mean(0)) @ [1, 1j], (points - points.mean(0)) @ [1, 1j]
        factor = np.vdot(source, target) / np.vdot(source, source).real
        scale, roll = abs(factor), np.angle(factor)
        rotation = cv2.Rodrigues(np.array([0, 0, roll]))[0]
        return rotation, scale, points.mean(0) - scale * (self.mean @ rotation.T)[:, :2].mean(0)


@cache
def load_shape_model() -> ShapeModel:
    """The shape model of this package."""
    with np.load(ARRAYS) as arrays:
        return ShapeModel(**{name: arrays[name].astype(np.float64) for name in ("mean", "modes", "deviations")})
