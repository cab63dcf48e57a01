"""The 709 OpenFace columns of the frames of one clip (30 Hz in, 30 Hz out).

`coordinates` says which picture pixels and camera belong to.  `aligned`, as in the CH-SIMS paper (Yu et al., ACL 2020,
section 3.3: faces aligned by MTCNN, OpenFace on the aligned faces): that of the aligned face, 224 x 224.  `frame`: the
video's own.  The mesh is found once, on the video's frame, and moved into the aligned picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from features import align
from features.action_units import action_units, load_rules, rule_values
from features.detect import FaceDetector
from features.gaze import Gaze, gaze_of
from features.landmarks import five_points, landmarks_68
from features.mesh import FaceMesh, MeshFace
from features.openface import AU_INTENSITIES, AU_PRESENCES, COLUMNS, assemble, block_slice
from features.pose import Camera, camera_of, euler_angles, head_translation
from features.shape_model import Fit, ShapeModel, load_shape_model
from features.track import FaceTracker

Coordinates = Literal["aligned", "frame"]
MINIMUM_CONFIDENCE = 0.5
TOLERANCE = 6.0  # mm: an error of the shape fit of this size takes the confidence down to 1/e


@dataclass(frozen=True)
class VisionFeatures:
    """Features of one clip of n frames.

    values : np.ndarray [shape=(n, 709), float32], columns of `features.openface`; NaN where there is no face
    success : np.ndarray [shape=(n,), bool], whether the frame shows a face with enough confidence
    confidence : np.ndarray [shape=(n,), float32], 0-1, 0 where no face was found
    """

    values: np.ndarray
    success: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class FaceGeometry:
    """What is measured on one face, in the pixels of one picture and its camera's mm.

    points : np.ndarray [shape=(68, 2)], pixels
    fit : Fit
    translation : np.ndarray [shape=(3,)], of the head, mm; its rotation is that of the fit
    gaze : Gaze
    camera : Camera
    """

    points: np.ndarray
    fit: Fit
    translation: np.ndarray
    gaze: Gaze
    camera: Camera


@dataclass
class VisionModels:
    """The networks and the shape model; make one and use it for many clips."""

    detector: FaceDetector = field(default_factory=FaceDetector)
    mesh: FaceMesh = field(default_factory=FaceMesh)
    shape_model: ShapeModel = field(default_factory=load_shape_model)

    def close(self) -> None:
        """Give the networks' threads back; call it before the program ends."""
        self.mesh.close()

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every file of weights."""
        return {**self.detector.weights, **self.mesh.weights, **self.shape_model.weights}


def extract_vision(
    frames: Iterable[np.ndarray],
    models: VisionModels,
    *,
    coordinates: Coordinates = "aligned",
    minimum_confidence: float = MINIMUM_CONFIDENCE,
) -> VisionFeatures:
    """Features of the frames of one clip; frames are used as they come and not kept.

    Parameters
    ----------
    frames : iterable of np.ndarray [shape=(h, w, 3), uint8], RGB, at 30 Hz
    models : VisionModels
    coordinates : 'aligned' or 'frame'
    minimum_confidence : float
        Frames with less confidence count as frames without a face.

    Raises
    ------
    ValueError
        If `coordinates` is neither.
    """
    if coordinates not in ("aligned", "frame"):
        raise ValueError(f"coordinates is {coordinates!r}; choose 'aligned' or 'frame'.")
    tracker = FaceTracker(models.detector, models.mesh, minimum_confidence)
    rows, au_values, confidences, fit = [], [], [], None
    for frame in frames:
        row, values, confidence = np.full(len(COLUMNS), np.nan, np.float32), np.full(len(load_rules()), np.nan), 0.0
        face = tracker.next(frame)
        if face is None:
            fit = None
        else:
            geometry = measure(face.mesh, frame.shape, models.shape_model, coordinates, fit)
            fit = geometry.fit
            confidence = face.probability * np.exp(-((fit.error / TOLERANCE) ** 2))
            if confidence >= minimum_confidence:
                row, values = to_columns(geometry), rule_values(face.mesh.points, face.mesh.blendshapes)
        rows.append(row)
        au_values.append(values)
        confidences.append(confidence)
    values = np.array(rows, np.float32).reshape(-1, len(COLUMNS))
    intensities, presences = action_units(np.array(au_values).reshape(-1, len(load_rules())))
    values[:, block_slice("AU_r")], values[:, block_slice("AU_c")] = intensities, presences
    return VisionFeatures(values, ~np.isnan(values).any(1), np.array(confidences, np.float32))


def measure(
    mesh: MeshFace, frame_shape: tuple[int, ...], shape_model: ShapeModel, coordinates: Coordinates, start: Fit | None = None
) -> FaceGeometry:
    """Shape, pose and gaze of a face.

    Parameters
    ----------
    mesh : MeshFace, in the pixels of the frame
    frame_shape : height and width of the frame, pixels
    shape_model : ShapeModel
    coordinates : 'aligned' or 'frame'
    start : Fit, optional, of the frame before, in the same coordinates
    """
    mesh_points, camera = mesh.points, camera_of(frame_shape[1], frame_shape[0])
    if coordinates == "aligned":
        transform = align.similarity_transform(five_points(mesh_points[:, :2]))
        mesh_points, camera = align.apply(transform, mesh_points), camera_of(align.SIDE, align.SIDE)
    points = landmarks_68(mesh_points[:, :2])
    fit = shape_model.fit(points, start)
    translation = head_translation(fit.shape, points, camera, fit.rotation)
    gaze = gaze_of(mesh_points[:, :2], fit.shape, fit.rotation, translation, camera)
    return FaceGeometry(points, fit, translation, gaze, camera)


def to_columns(face: FaceGeometry) -> np.ndarray:
    """The row [shape=(709,), float32] of one face; the action units, which need the whole clip, are still NaN."""
    posed = face.fit.shape @ face.fit.rotation.T + face.translation
    return assemble(
        {
            "gaze_0": face.gaze.directions[0],
            "gaze_1": face.gaze.directions[1],
            "gaze_angle": face.gaze.angles,
            **{f"eye_lmk_{axis}": face.gaze.pixels[:, i] for i, axis in enumerate("xy")},
            **{f"eye_lmk_{axis}": face.gaze.landmarks[:, i] for i, axis in enumerate("XYZ")},
            "pose_T": face.translation,
            "pose_R": euler_angles(face.fit.rotation),
            **{axis: face.points[:, i] for i, axis in enumerate("xy")},
            **{axis: posed[:, i] for i, axis in enumerate("XYZ")},
            "p_scale": face.fit.scale,
            "p_r": euler_angles(face.fit.rotation),
            "p_t": face.fit.translation,
            "p": face.fit.coefficients,
            "AU_r": np.full(len(AU_INTENSITIES), np.nan),
            "AU_c": np.full(len(AU_PRESENCES), np.nan),
        }
    )
