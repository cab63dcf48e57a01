"""Columns, landmarks, alignment, pose, shape model and gaze on known answers, without networks."""

import numpy as np
import pytest

from features import align
from features.landmarks import (
    MESH_BESIDE,
    MESH_IRIS,
    MESH_LIDS,
    MESH_OF_68,
    MIRROR_OF_68,
    RELIEF,
    SHARES,
    five_points,
    shape_points,
)
from features.openface import BLOCKS, COLUMNS, UNITS, assemble, block_slice
from features.pose import camera_of, euler_angles, rotation_matrix
from features.shape_model import SIZE_GAIN, SIZE_OF_MESH, load_shape_model


def test_columns_are_openface_2():
    assert len(COLUMNS) == len(UNITS) == len(set(COLUMNS)) == 709
    # first column (counted from 0) of each group in OpenFace's CSV, less its five leading columns
    starts = {
        "gaze_0_x": 0,
        "gaze_angle_x": 6,
        "eye_lmk_x_0": 8,
        "eye_lmk_y_0": 64,
        "eye_lmk_X_0": 120,
        "eye_lmk_Z_55": 287,
        "pose_Tx": 288,
        "pose_Rx": 291,
        "x_0": 294,
        "y_0": 362,
        "X_0": 430,
        "Z_67": 633,
        "p_scale": 634,
        "p_rx": 635,
        "p_tx": 638,
        "p_ty": 639,
        "p_0": 640,
        "p_33": 673,
        "AU01_r": 674,
        "AU45_r": 690,
        "AU01_c": 691,
        "AU28_c": 707,
        "AU45_c": 708,
    }
    assert {name: COLUMNS.index(name) for name in starts} == starts


def test_blocks_are_laid_out_by_name():
    row = assemble({name: np.full(len(names), i) for i, (name, (names, _)) in enumerate(BLOCKS.items())})
    assert row.shape == (709,) and row.dtype == np.float32
    assert set(row[block_slice("pose_R")]) == {list(BLOCKS).index("pose_R")}
    with pytest.raises(ValueError, match="pose_R"):
        assemble({name: np.zeros(len(names)) for name, (names, _) in BLOCKS.items() if name != "pose_R"})
    with pytest.raises(ValueError, match="p_scale"):
        assemble({name: np.zeros(len(names) + (name == "p_scale")) for name, (names, _) in BLOCKS.items()})


def test_landmark_maps_are_symmetric():
    assert len(set(MESH_OF_68)) == 68
    assert np.array_equal(MIRROR_OF_68[MIRROR_OF_68], np.arange(68))
    assert np.array_equal(SHARES, SHARES[MIRROR_OF_68]) and (RELIEF == RELIEF[MIRROR_OF_68]).all()
    assert (0 <= SHARES).all() and (SHARES <= 0.5).all()
    mean = load_shape_model().mean
    assert np.abs(mean[MIRROR_OF_68] * [-1, 1, 1] - mean).max() < 1e-4
    assert mean[36:42, 0].max() < 0 < mean[42:48, 0].min()  # eye 0 is on the left of the image
    assert mean[8, 1] > mean[30, 1] > mean[27, 1] > mean[19, 1]  # chin, nose tip, nose root, brow: y points down
    assert mean[30, 2] < mean[36, 2] < mean[0, 2]  # nose before eye before ear: z points away


@pytest.mark.parametrize("angle", [0, 30, -75])
def test_similarity_transform_brings_a_turned_face_back(angle):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    moved = 0.37 * align.TEMPLATE @ np.array([[c, s], [-s, c]]) + [40, -12]
    transform = align.similarity_transform(moved)
    assert np.allclose(align.apply(transform, moved), align.TEMPLATE)
    assert np.allclose(transform[0, :2] @ transform[1, :2], 0)
    assert np.isclose(align.apply(transform, np.array([[0, 0, 1.0]]))[0, 2], 1 / 0.37)  # depth is scaled alike


def test_aligned_face_shows_the_points_at_the_template():
    frame = np.zeros((240, 320, 3), np.uint8)
    points = align.TEMPLATE * 0.5 + [60, 40]
    for x, y in points.round().astype(int):
        frame[y - 1 : y + 2, x - 1 : x + 2] = 255
    picture = align.aligned_face(frame, align.similarity_transform(points))
    assert picture.shape == (align.SIDE, align.SIDE, 3)
    assert all(picture[y, x, 0] > 128 for x, y in align.TEMPLATE.round().astype(int))


def test_five_points_are_left_to_right():
    mesh = np.zeros((478, 2))
    mesh[MESH_LIDS[0]], mesh[MESH_LIDS[1]] = [-30, -40], [30, -40]
    mesh[4], mesh[61], mesh[291] = [0, 0], [-20, 30], [20, 30]
    assert five_points(mesh).tolist() == [[-30, -40], [30, -40], [0, 0], [-20, 30], [20, 30]]


def test_rotations_follow_openface():
    forward = np.array([0, 0, -1.0])  # out of the face
    assert (rotation_matrix(np.array([0.3, 0, 0])) @ forward)[1] > 0  # positive rx looks down
    assert (rotation_matrix(np.array([0, 0.3, 0])) @ forward)[0] < 0  # positive ry looks to the left
    assert (rotation_matrix(np.array([0, 0, 0.3])) @ [1.0, 0, 0])[1] > 0  # positive rz leans clockwise
    for angles in np.random.default_rng(0).uniform(-1.4, 1.4, (20, 3)):
        assert np.allclose(euler_angles(rotation_matrix(angles)), angles)


def test_assumed_camera_is_openfaces():
    assert camera_of(640, 480).focal == 500 and (camera_of(640, 480).cx, camera_of(640, 480).cy) == (320, 240)
    assert camera_of(320, 240).focal == 250


def test_shape_points_lie_between_mesh_points():
    mesh = np.random.default_rng(3).normal(0, 1, (478, 3))
    points = shape_points(mesh)
    assert np.array_equal(points[8], mesh[152]) and np.allclose(points[30], (mesh[4] + mesh[1]) / 2)
    assert np.allclose(shape_points(mesh[:, :2]), points[:, :2])
    assert ((MESH_BESIDE == MESH_OF_68) == (SHARES[:, 0] == 0)).all()


ANGLES = [(0, 0, 0), (0.25, 0, 0), (0, -0.5, 0), (0, 0, 0.4), (-0.2, 0.35, -0.3)]


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("translation", [(20, -30, 2500), (0, 0, 450), (-120, 60, 600)])
def test_pose_before_a_known_camera_is_recovered(angles, translation):
    model, camera = load_shape_model(), camera_of(640, 480)
    rotation = rotation_matrix(np.array(angles))
    fit = model.fit(camera.project(model.mean @ rotation.T + translation), camera=camera)
    assert np.degrees(np.abs(euler_angles(fit.rotation) - angles)).max() < 0.5  # near and beside the middle, too
    assert fit.error < 0.3
    assert np.isclose(fit.scale, camera.focal / translation[2], rtol=0.01)
    assert np.allclose(fit.head_translation(camera) / fit.size, translation, rtol=0.01, atol=2)


@pytest.mark.parametrize("angles", ANGLES)
def test_pose_before_an_unknown_camera_is_that_against_the_line_of_sight(angles):
    model, camera = load_shape_model(), camera_of(640, 480)
    rotation = rotation_matrix(np.array(angles))
    fit = model.fit(camera.project(model.mean @ rotation.T + [0, 0, 2500]))
    assert np.degrees(np.abs(euler_angles(fit.rotation) - angles)).max() < 3
    moved = model.fit(camera.project(model.mean @ rotation.T + [0, 0, 2500]) + [200, -90])
    assert np.allclose(moved.rotation, fit.rotation, atol=1e-3)


def test_depths_tell_a_turn_from_a_shape():
    model, random = load_shape_model(), np.random.default_rng(4)
    errors = {"points": [], "points and depths": []}
    for _ in range(20):
        angles, coefficients = random.uniform(-0.4, 0.4, 3), random.normal(0, model.deviations)
        shape, rotation = model.shape(coefficients), rotation_matrix(angles)
        points = 0.7 * (shape @ rotation.T)[:, :2] * 1000 / (1000 + (shape @ rotation.T)[:, 2:]) + random.normal(0, 1, (68, 2))
        mesh = np.column_stack([shape[:, :2], model.mean[:, 2] + RELIEF])  # the mesh's relief is nobody's own
        depths = 0.7 * (mesh @ rotation.T)[:, 2] + 40
        errors["points"].append(euler_angles(model.fit(points).rotation) - angles)
        errors["points and depths"].append(euler_angles(model.fit(points, depths=depths).rotation) - angles)
    alone, both = (np.degrees(np.abs(error).mean()) for error in errors.values())
    assert both < 0.8 * alone and both < 1


def test_scattered_points_are_no_large_head():
    model, random = load_shape_model(), np.random.default_rng(5)
    for _ in range(10):
        fit = model.fit(0.7 * model.mean[:, :2] + random.normal(0, 15, (68, 2)))
        assert 0.5 < fit.scale < 1.2 and fit.error > 10


def test_size_is_told_by_the_shape_and_averaged_over_a_face():
    model = load_shape_model()
    large = np.zeros(34)
    large[np.argmax(np.abs(model.log_size) * model.deviations)] = 1
    large *= np.sign(model.log_size @ large) * model.deviations
    first, second = 0.7 * model.shape(large)[:, :2], 0.7 * model.mean[:, :2]
    fit = model.fit(first)
    assert np.isclose(fit.size, SIZE_OF_MESH * np.exp(SIZE_GAIN * model.log_size @ fit.coefficients)) and fit.fits == 1
    assert fit.size > model.fit(second).size
    again = model.fit(second, fit)
    alone = SIZE_OF_MESH * np.exp(SIZE_GAIN * model.log_size @ again.coefficients)
    assert again.fits == 2 and np.isclose(again.size, (fit.size + alone) / 2)
    assert np.allclose(again.shape, again.size * model.shape(again.coefficients))


def test_shape_model_is_orthonormal_and_symmetric():
    model = load_shape_model()
    modes = model.modes.reshape(34, -1)
    assert np.allclose(modes @ modes.T, np.eye(34), atol=1e-5)
    assert (np.diff(model.deviations) <= 0).all() and model.deviations[-1] > 0
    mirrored = model.modes[:, MIRROR_OF_68] * [-1, 1, 1]
    assert np.allclose(np.abs((mirrored * model.modes).sum((1, 2))), 1, atol=1e-3)  # each mode (anti)symmetric
    assert 75 < np.linalg.norm(model.mean[36] - model.mean[45]) < 100  # outer eye corners, mm


def test_shape_model_fit_finds_the_expression():
    model, random = load_shape_model(), np.random.default_rng(1)
    coefficients = random.normal(0, 1, 34) * model.deviations
    shape = model.shape(coefficients)
    rotation = rotation_matrix(np.array([0.1, -0.3, 0.15]))
    camera = camera_of(640, 480)
    points = camera.project(shape @ rotation.T + [30, 0, 700])
    fit = model.fit(points, camera=camera)
    assert fit.error < 0.6
    assert np.degrees(np.abs(euler_angles(fit.rotation) - [0.1, -0.3, 0.15])).max() < 2
    again = model.fit(points, fit, camera=camera)  # a warm start stays there
    assert np.allclose(again.coefficients, fit.coefficients, atol=0.05)


def test_irises_and_lids_are_points_of_their_own():
    assert len({*MESH_IRIS, *MESH_LIDS.ravel()}) == 26
