"""What py-feat's detectors say of a clip, as the 709 OpenFace columns (py-feat 2.1: Cheong et al., "Py-Feat", Affective
Science 2023).

Both are in pixels of the frame, with the camera that OpenFace assumes.  v1 is feat.Detectorv1, v2 feat.Detectorv2.

| our columns                | from py-feat                                                                            |
|----------------------------|-----------------------------------------------------------------------------------------|
| x, y                       | v1: x_i, y_i. v2: mesh_x, mesh_y by `landmarks_68`, because the jaw of v2's own x_i, y_i |
|                            | is placed otherwise (chin at 9 to 10)                                                   |
| pose_R                     | Pitch (up), Yaw (to the image's left), Roll (anticlockwise), radians: rx = -Pitch,      |
|                            | ry = Yaw, rz = -Roll. v1: Euler angles of R = Rz Ry Rx; v2: a rotation vector           |
| gaze_0, gaze_1, gaze_angle | gaze_pitch (up), gaze_yaw (to the image's left), radians, for both eyes the same        |
| AU.._r, AU.._c             | probability p of the AU: 5 p, and whether p >= 0.5. AU45 is AU43 (eyes closed). AU11    |
|                            | and AU24 have no column                                                                 |
| p_*, X, Y, Z, pose_T       | our shape model fitted to the 68 points; py-feat's X, Y, Z are not in mm of this camera |
| eye_lmk_*                  | v2: from the mesh, as in `features.gaze`. v1 has no points there: NaN                   |

A probability says how sure the network is, not how strong the movement: 5 p only shares the range of an intensity.
"""

import cv2
import numpy as np
import pandas as pd

from features.face import FaceColumns, shape_blocks
from features.gaze import gaze_of
from features.landmarks import landmarks_68, shape_points
from features.openface import AU_INTENSITIES, AU_PRESENCES, COLUMNS, N_EYE_LANDMARKS, N_LANDMARKS, assemble
from features.pose import camera_of, euler_angles, rotation_matrix
from features.shape_model import Fit, load_shape_model
from features.track import SAME_FACE, overlap

N_MESH = 478
BOX = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"]
PRESENT = 0.5


def rotation_of_euler(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """The head's rotation [shape=(3, 3)] of Detectorv1's angles, radians."""
    about_x, about_y, about_z = (rotation_matrix(angles) for angles in ((-pitch, 0, 0), (0, yaw, 0), (0, 0, -roll)))
    return about_z @ about_y @ about_x


def euler_of_rotation(rotation: np.ndarray) -> np.ndarray:
    """Pitch, Roll and Yaw [shape=(3,)], radians, of a rotation: the inverse of `rotation_of_euler`."""
    return np.array(
        [
            -np.arctan2(rotation[2, 1], rotation[2, 2]),
            -np.arctan2(rotation[1, 0], rotation[0, 0]),
            np.arcsin(np.clip(-rotation[2, 0], -1, 1)),
        ]
    )


def rotation_of_vector(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """The head's rotation [shape=(3, 3)] of Detectorv2's numbers, radians."""
    return cv2.Rodrigues(np.array([-pitch, yaw, -roll], float))[0]


def gaze_direction(pitch: float, yaw: float) -> np.ndarray:
    """Unit vector [shape=(3,)], camera axes, of py-feat's angles, radians."""
    return -np.array([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)])


def gaze_pitch_yaw(direction: np.ndarray) -> np.ndarray:
    """Angles [shape=(2,)], radians, of a direction: the inverse of `gaze_direction`."""
    x, y, z = direction / np.linalg.norm(direction)
    return np.array([np.arcsin(-y), np.arctan2(-x, -z)])


def boxes_of(table: pd.DataFrame) -> np.ndarray:
    """Left, top, right, bottom [shape=(rows, 4)], pixels; NaN where there is no face."""
    x, y, width, height = table[BOX].to_numpy(float).T
    return np.stack([x, y, x + width, y + height], 1)


def tracks_of(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A number per face: a box that overlaps the last one of a track most continues it, another begins a track.

    Parameters
    ----------
    frames : np.ndarray [shape=(rows,), int], ascending, several rows for a frame with several faces
    boxes : np.ndarray [shape=(rows, 4)]

    Returns
    -------
    np.ndarray [shape=(rows,), int], -1 where there is no face
    """
    tracks, last = np.full(len(frames), -1), {}
    for frame in np.unique(frames):
        rows = [row for row in np.flatnonzero(frames == frame) if not np.isnan(boxes[row]).any()]
        pairs = [(overlap(boxes[row], box), row, track) for row in rows for track, box in last.items()]
        for common, row, track in sorted(pairs, reverse=True):
            if common >= SAME_FACE and tracks[row] < 0 and track not in tracks[rows]:
                tracks[row] = track
        for row in rows:
            tracks[row] = tracks[row] if tracks[row] >= 0 else len(last)
            last[tracks[row]] = boxes[row]
    return tracks


def from_py_feat(table: pd.DataFrame, count: int) -> FaceColumns:
    """Features of a clip; of several faces the one that takes up most of the picture over the clip.

    `faces` counts those on the frame itself.

    Parameters
    ----------
    table : pd.DataFrame
        What `detect` gives: a row per face, `frame` from 0, and a row of NaN for a frame without a face.
    count : int, frames of the clip

    Raises
    ------
    KeyError
        If a column is missing that every detector writes.
    """
    box, values = np.full((count, 4), np.nan, np.float32), np.full((count, len(COLUMNS)), np.nan, np.float32)
    confidence, track = np.zeros(count, np.float32), np.full(count, -1, np.int16)
    frames, boxes = (table["frame"].to_numpy(int), boxes_of(table)) if count else (np.zeros(0, int), np.zeros((0, 4)))
    tracks = tracks_of(frames, boxes)
    if (tracks >= 0).any():
        area = pd.Series(np.prod(boxes[:, 2:] - boxes[:, :2], 1)).groupby(tracks).sum()
        rows = np.flatnonzero(tracks == area.drop(-1, errors="ignore").idxmax())
        fit = None
        for row, frame in zip(rows, frames[rows], strict=True):
            values[frame], fit = to_columns(table.iloc[row], fit)
        box[frames[rows]], track[frames[rows]] = boxes[rows], tracks[rows]
        confidence[frames[rows]] = table["FaceScore"].to_numpy()[rows]
    success = track >= 0
    transform = np.where(success[:, None, None], np.eye(2, 3), np.nan).astype(np.float32)
    faces = np.bincount(frames[tracks >= 0], minlength=count).astype(np.uint8)
    return FaceColumns(values, success, confidence, box, transform, track, faces)


def to_columns(face: pd.Series, start: Fit | None = None) -> tuple[np.ndarray, Fit]:
    """The row [shape=(709,), float32] of one face, and the fit of the shape model, from which the next one can start."""
    mesh = None
    if "mesh_x_0" in face:
        mesh = np.stack([face[[f"mesh_{axis}_{i}" for i in range(N_MESH)]].to_numpy(float) for axis in "xy"], 1)
        points, fitted = landmarks_68(mesh), shape_points(mesh)
    else:
        points = np.stack([face[[f"{axis}_{i}" for i in range(N_LANDMARKS)]].to_numpy(float) for axis in "xy"], 1)
        fitted = points
    camera = camera_of(face["FrameWidth"], face["FrameHeight"])
    fit = load_shape_model().fit(fitted, start)
    translation = fit.head_translation(camera)
    angles = face[["Pitch", "Roll", "Yaw"]].to_numpy(float)
    rotation = rotation_of_euler(*angles) if mesh is None else rotation_of_vector(*angles)
    direction = gaze_direction(face["gaze_pitch"], face["gaze_yaw"])
    eyes = np.full((N_EYE_LANDMARKS, 5), np.nan)
    if mesh is not None:
        gaze = gaze_of(mesh, fit.shape, fit.rotation, translation, camera)
        eyes = np.column_stack([gaze.pixels, gaze.landmarks])
    probability = {name: float(face.get(name, np.nan)) for name in AU_PRESENCES}
    probability["AU45"] = float(face.get("AU45", face.get("AU43", np.nan)))
    present = {name: np.nan if np.isnan(p) else p >= PRESENT for name, p in probability.items()}
    row = assemble(
        {
            "gaze_0": direction,
            "gaze_1": direction,
            "gaze_angle": np.arctan2(direction[:2], -direction[2]),
            **{f"eye_lmk_{axis}": eyes[:, i] for i, axis in enumerate("xyXYZ")},
            "pose_R": euler_angles(rotation),
            **shape_blocks(points, fit, translation),
            "AU_r": [5 * probability[name] for name in AU_INTENSITIES],
            "AU_c": [present[name] for name in AU_PRESENCES],
        }
    )
    return row, fit
