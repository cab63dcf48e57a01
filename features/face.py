"""What is measured on one face: landmarks, shape, pose and gaze, in the pixels and the camera of one picture.

`coordinates` says which picture pixels and camera belong to.  `aligned`, as in the CH-SIMS paper (Yu et al., ACL 2020,
section 3.3: faces aligned by MTCNN, OpenFace on the aligned faces): that of the aligned face, 224 x 224.  `frame`: the
video's own.  The mesh is found once, on the video's frame, and moved into the aligned picture.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from features import align
from features.gaze import Gaze, gaze_of
from features.landmarks import five_points, landmarks_68, shape_points
from features.mesh import MeshFace
from features.openface import AU_INTENSITIES, AU_PRESENCES, assemble
from features.pose import Camera, camera_of, euler_angles
from features.shape_model import Fit, ShapeModel

Coordinates = Literal["aligned", "frame"]


@dataclass(frozen=True)
class FaceColumns:
    """What every source of facial features tells of a clip of n frames.

    values : np.ndarray [shape=(n, 709), float32], columns of `features.openface`; NaN where there is no face
    success : np.ndarray [shape=(n,), bool], whether the frame shows a face with enough confidence
    confidence : np.ndarray [shape=(n,), float32], 0-1, 0 where no face was found
    box : np.ndarray [shape=(n, 4), float32]
        Left, top, right, bottom of the face, pixels of the frame; NaN where no face was found.
    transform : np.ndarray [shape=(n, 2, 3), float32]
        From pixels of the frame to those of `values`; NaN where no face was found.
    track : np.ndarray [shape=(n,), int16], number of the followed face in the clip; -1 where no face was found
    faces : np.ndarray [shape=(n,), uint8], how many faces MTCNN saw, on this frame or last
    """

    values: np.ndarray
    success: np.ndarray
    confidence: np.ndarray
    box: np.ndarray
    transform: np.ndarray
    track: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class FaceGeometry:
    """What is measured on one face, in the pixels of one picture and its camera's mm.

    points : np.ndarray [shape=(68, 2)], pixels
    fit : Fit
    translation : np.ndarray [shape=(3,)], of the head, mm; its rotation is that of the fit
    gaze : Gaze
    camera : Camera
    transform : np.ndarray [shape=(2, 3)], from pixels of the frame to those of the picture
    """

    points: np.ndarray
    fit: Fit
    translation: np.ndarray
    gaze: Gaze
    camera: Camera
    transform: np.ndarray


def measure(
    mesh: MeshFace,
    frame: np.ndarray,
    shape_model: ShapeModel,
    coordinates: Coordinates,
    start: FaceGeometry | None = None,
    focal_length: float | None = None,
    drawn_odds: float = np.inf,
) -> FaceGeometry:
    """Shape, pose and gaze of a face.

    Parameters
    ----------
    mesh : MeshFace, in the pixels of the frame
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB; the irises are looked for in it
    shape_model : ShapeModel
    coordinates : 'aligned' or 'frame'
    start : FaceGeometry, optional, of the frame before, in the same coordinates
    focal_length : float, optional
        Of the camera, pixels of the frame. Without it, and in the aligned picture, the camera is the one that OpenFace
        assumes for a picture of this size; it then gives the translation, but no perspective to fit by.
    drawn_odds : float, log odds that the face is rendered or drawn, as `gaze_of` takes them
    """
    mesh_points, camera, transform = mesh.points, camera_of(frame.shape[1], frame.shape[0]), np.eye(2, 3)
    if focal_length:
        camera = replace(camera, focal=focal_length)
    if coordinates == "aligned":
        transform = align.similarity_transform(five_points(mesh_points[:, :2]))
        mesh_points, camera = align.apply(transform, mesh_points), camera_of(align.SIDE, align.SIDE)
    points, fitted = landmarks_68(mesh_points[:, :2]), shape_points(mesh_points)
    known = camera if focal_length and coordinates == "frame" else None
    fit = shape_model.fit(fitted[:, :2], start and start.fit, depths=fitted[:, 2], camera=known)
    translation = fit.head_translation(camera)
    # The rotation is that before the known camera or, without one, against the line of sight: so is the gaze.
    seen_by = known or fit.line_of_sight(fitted[:, :2])
    stand = fit.head_translation(seen_by)
    before = start and start.gaze
    gaze = gaze_of(mesh_points[:, :2], fit.shape, fit.rotation, stand, seen_by, frame, transform, before, drawn_odds)
    gaze = gaze.moved(translation - stand)
    return FaceGeometry(points, fit, translation, gaze, camera, transform)


def shape_blocks(points: np.ndarray, fit: Fit, translation: np.ndarray) -> dict[str, np.ndarray]:
    """The blocks of 68 points [shape=(68, 2)], pixels, of the shape fitted to them and of its place [shape=(3,)], mm."""
    posed = fit.shape @ fit.rotation.T + translation
    return {
        "pose_T": translation,
        **{axis: points[:, i] for i, axis in enumerate("xy")},
        **{axis: posed[:, i] for i, axis in enumerate("XYZ")},
        "p_scale": fit.scale,
        "p_r": euler_angles(fit.rotation),
        "p_t": fit.translation,
        "p": fit.coefficients,
    }


def to_columns(face: FaceGeometry) -> np.ndarray:
    """The row [shape=(709,), float32] of one face; the action units, which need the whole clip, are still NaN."""
    return assemble(
        {
            "gaze_0": face.gaze.directions[0],
            "gaze_1": face.gaze.directions[1],
            "gaze_angle": face.gaze.angles,
            **{f"eye_lmk_{axis}": face.gaze.pixels[:, i] for i, axis in enumerate("xy")},
            **{f"eye_lmk_{axis}": face.gaze.landmarks[:, i] for i, axis in enumerate("XYZ")},
            "pose_R": euler_angles(face.fit.rotation),
            **shape_blocks(face.points, face.fit, face.translation),
            "AU_r": np.full(len(AU_INTENSITIES), np.nan),
            "AU_c": np.full(len(AU_PRESENCES), np.nan),
        }
    )
