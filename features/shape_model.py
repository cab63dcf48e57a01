"""A point distribution model (PDM) of the 68 facial points in 3D, and its fit to points in a picture.

A shape is mean + sum_k p_k mode_k, in mm and in head axes: x to the right of the image, y down, z away from the camera
for a face that looks into it.  The 34 modes are the principal components of heads that vary in identity and expression
(`demo/build_shape_model.py` makes shape_model.npz from MakeHuman's CC0 heads); they are orthonormal and symmetric or
antisymmetric in left and right.  All heads have one size in the model, as size cannot be seen by a single camera; what
the shape tells of it (men's faces are larger) is kept beside the modes.

The pose is that of OpenFace's PDM (Baltrusaitis, Robinson & Morency, "Constrained Local Neural Fields", ICCV-W 2013,
eq. 1), x = s R_xy (mean + modes p) + t, of points from which perspective was taken away by the depth of the fitted shape
(POSIT: DeMenthon & Davis, IJCV 1995).  So rotation and translation are those in front of a camera that is known.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np

from features.hashing import sha256_of
from features.landmarks import JAW, RELIEF
from features.pose import Camera

INNER = slice(JAW.stop, 68)
ARRAYS = Path(__file__).with_name("shape_model.npz")
# Standard deviation of a point about its model, mm: what landmarker and model disagree by inside the face and, as the
# jaw points of the mesh are those of the outline, on the jaw; and that of the mesh's depth.
NOISE, JAW_NOISE, DEPTH_NOISE = 2.0, 12.0, 8.0
UNKNOWN_DISTANCE = 1000.0  # mm: of a face before a camera that is not known, between a desk's 500 and a stage's 2000
# The landmarker draws all faces nearer to the average than they are, so its shapes tell less of the size than true ones
# (gain), and 2 % too large.  Both from 24 rendered heads.  The limit is three standard deviations of their size.
SIZE_GAIN, SIZE_OF_MESH, SIZE_LIMIT = 2.0, 0.98, 0.2
# Steps of the search, radians and relative scale: none is larger, and after a small one it ends.
ITERATIONS, LARGEST_STEP, SMALL_STEP = 12, 0.5, 1e-3


@dataclass(frozen=True)
class Fit:
    """A fitted shape and its pose.

    scale : float, px per mm of the model, whose heads have one size
    rotation : np.ndarray [shape=(3, 3)]
    translation : np.ndarray [shape=(2,)], pixels; where the head's origin is seen
    coefficients : np.ndarray [shape=(34,)], mm
    size : float, of the head, as a factor of the model's; the mean over the fits of a face so far
    fits : int, their number
    shape : np.ndarray [shape=(68, 3)], mm, head axes, in this size
    error : float, root mean square distance inside the face, mm
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    coefficients: np.ndarray
    size: float
    fits: int
    shape: np.ndarray
    error: float

    def head_translation(self, camera: Camera) -> np.ndarray:
        """Where the head's origin stands before a camera [shape=(3,)], mm."""
        scale = self.scale / self.size  # px/mm of the head
        return np.append((self.translation - [camera.cx, camera.cy]) / scale, camera.focal / scale)

    def line_of_sight(self, points: np.ndarray) -> Camera:
        """The camera that a fit without one stands before: it looks at the middle of the points [shape=(68, 2)], pixels."""
        return Camera(self.scale * UNKNOWN_DISTANCE, *points.mean(0))


@dataclass(frozen=True)
class ShapeModel:
    """The point distribution model.

    mean : np.ndarray [shape=(68, 3)], mm
    modes : np.ndarray [shape=(34, 68, 3)], orthonormal
    deviations : np.ndarray [shape=(34,)], standard deviation of each coefficient, mm
    log_size : np.ndarray [shape=(34,)], 1/mm; times the coefficients the logarithm of the head's size over the mean size
    """

    mean: np.ndarray
    modes: np.ndarray
    deviations: np.ndarray
    log_size: np.ndarray

    @property
    def weights(self) -> dict[str, str]:
        """File name and SHA-256 of the arrays."""
        return {ARRAYS.name: sha256_of(ARRAYS)}

    @cached_property
    def _modes(self) -> np.ndarray:
        """The modes as [34, 3, 68]."""
        return np.ascontiguousarray(self.modes.transpose(0, 2, 1))

    def shape(self, coefficients: np.ndarray) -> np.ndarray:
        """The 68 points [shape=(68, 3)], mm, of coefficients [shape=(34,)]."""
        return self.mean + (coefficients @ self.modes.reshape(len(self.modes), -1)).reshape(-1, 3)

    def fit(
        self,
        points: np.ndarray,
        start: Fit | None = None,
        *,
        depths: np.ndarray | None = None,
        camera: Camera | None = None,
    ) -> Fit:
        """Fit shape and pose by regularised least squares (Gauss-Newton).

        Minimises the squared distances of points and shape, in mm at the head, over the variances of the noise, plus
        sum_k (p_k / deviation_k)^2.  The mesh's depths count as points do, against the relief that the mesh gives to
        every face (`features.landmarks.RELIEF`): two dimensions alone leave part of a turn to be taken for a shape.

        Parameters
        ----------
        points : np.ndarray [shape=(68, 2)], pixels
        start : Fit, optional
            The fit of the frame before.  Without it the search starts from the mean shape.
        depths : np.ndarray [shape=(68,)], optional
            Depths of the points in the mesh, pixels.
        camera : Camera, optional
            The camera if it is known.  Without it the face is taken to be seen from 1 m, straight ahead: the rotation is
            then that against the line of sight.
        """
        centre = points.mean(0) if camera is None else np.array([camera.cx, camera.cy])
        seen = (points - centre).T
        weights = np.full((3, 68), 1 / NOISE)
        weights[:, JAW], weights[2] = 1 / JAW_NOISE, 0
        if depths is not None:
            weights[2, INNER] = 1 / DEPTH_NOISE
        prior = np.concatenate([np.zeros(6), self.deviations**-2])
        if start is None:
            coefficients = np.zeros(len(self.modes))
            rotation, scale, place = self._upright_pose(points - centre)
        else:
            coefficients, rotation, scale, place = start.coefficients, start.rotation, start.scale, start.translation - centre
        for _ in range(ITERATIONS):
            focal = scale * UNKNOWN_DISTANCE if camera is None else camera.focal
            residual, jacobian = self._equations(seen, depths, focal, scale, rotation, place, coefficients)
            weighted = (jacobian * weights).reshape(len(jacobian), -1)
            gradient = weighted @ (residual * weights).ravel()
            gradient[6:] -= prior[6:] * coefficients
            step = np.linalg.solve(weighted @ weighted.T + np.diag(prior), gradient)
            largest = np.abs(step[:4]).max()
            step *= min(1, LARGEST_STEP / largest)
            place = place + scale * step[4:6]
            scale = scale * np.exp(step[0])
            rotation = cv2.Rodrigues(step[1:4])[0] @ rotation
            coefficients = coefficients + step[6:]
            if largest < SMALL_STEP:
                break
        error = np.sqrt((residual[:2, INNER] ** 2).sum(0).mean())
        size, fits = SIZE_OF_MESH * np.exp(np.clip(SIZE_GAIN * self.log_size @ coefficients, -SIZE_LIMIT, SIZE_LIMIT)), 1
        if start is not None:  # a head does not grow
            fits = start.fits + 1
            size = start.size + (size - start.size) / fits
        shape = size * self.shape(coefficients)
        return Fit(float(scale), rotation, place + centre, coefficients, float(size), fits, shape, float(error))

    def _equations(
        self,
        seen: np.ndarray,
        depths: np.ndarray | None,
        focal: float,
        scale: float,
        rotation: np.ndarray,
        place: np.ndarray,
        coefficients: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is left of points and depths beside a pose and a shape, and what changes it.

        Parameters
        ----------
        seen : np.ndarray [shape=(2, 68)], pixels from the principal point, in which `place` is, too

        Returns
        -------
        (np.ndarray [shape=(3, 68)], np.ndarray [shape=(40, 3, 68)])
            Residuals, and their derivatives (sign changed) by the logarithm of the scale, a small rotation about the
            camera's axes (radians), a shift (mm) and the coefficients (mm). Residuals are pixels over the scale as it is
            (mm): were it to change with the unknown scale, a larger head would make every misfit small.
        """
        shape = self.shape(coefficients).T
        turned = x, y, z = rotation @ shape
        drawn = turned + rotation[:, 2:] * (self.mean[:, 2] + RELIEF - shape[2])  # whose depth the mesh shows
        residual = np.empty((3, 68))
        residual[:2] = (seen - place[:, None]) / scale + seen * (z / focal) - turned[:2]
        residual[2] = 0 if depths is None else _about_mean(depths / scale - drawn[2])
        jacobian = np.zeros((6 + len(self.modes), 3, 68))
        jacobian[0] = turned
        jacobian[1, 1], jacobian[1, 2] = -z, y
        jacobian[2, 0], jacobian[2, 2] = z, -x
        jacobian[3, 0], jacobian[3, 1] = -y, x
        jacobian[4, 0] = jacobian[5, 1] = 1
        jacobian[6:] = rotation @ self._modes
        jacobian[:, :2] -= seen / focal * jacobian[:, 2:]  # nearer points are seen larger
        jacobian[:3, 2] = drawn[2], drawn[1], -drawn[0]
        jacobian[6:, 2] -= rotation[2, 2] * self._modes[:, 2]  # whose depth does not show
        jacobian[:, 2] = _about_mean(jacobian[:, 2])
        return residual, jacobian

    def _upright_pose(self, points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """A pose in the picture plane (scale, roll, shift) that brings the mean shape near to `points`."""
        source, target = (self.mean[:, :2] - self.mean[:, :2].mean(0)) @ [1, 1j], (points - points.mean(0)) @ [1, 1j]
        factor = np.vdot(source, target) / np.vdot(source, source).real
        scale, roll = abs(factor), np.angle(factor)
        rotation = cv2.Rodrigues(np.array([0, 0, roll]))[0]
        return rotation, scale, points.mean(0) - scale * (self.mean @ rotation.T)[:, :2].mean(0)


def _about_mean(rows: np.ndarray) -> np.ndarray:
    """Rows [..., 68] of depths, less their mean inside the face: depths of the mesh have no zero."""
    return rows - rows[..., INNER].mean(-1, keepdims=True)


@cache
def load_shape_model() -> ShapeModel:
    """The shape model of this package."""
    with np.load(ARRAYS) as arrays:
        return ShapeModel(**{name: arrays[name].astype(np.float64) for name in ("mean", "modes", "deviations", "log_size")})
