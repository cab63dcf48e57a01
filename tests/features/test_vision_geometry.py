"""Columns, landmarks, alignment, pose, shape model, gaze and action units on known answers, without networks."""

import numpy as np
import pytest

from features import align
from features.action_units import action_units, load_rules, rule_values
from features.gaze import ATTENUATION, EYEBALL_RADIUS, EYEBALLS, circle, gaze_direction, on_sphere
from features.landmarks import MESH_IRIS, MESH_LIDS, MESH_OF_68, MIRROR_OF_68, five_points
from features.openface import AU_INTENSITIES, AU_PRESENCES, BLOCKS, COLUMNS, UNITS, assemble, block_slice
from features.pose import camera_of, euler_angles, head_translation, rotation_matrix
from features.shape_model import load_shape_model

BLENDSHAPES = {name: 0.0 for rule in load_rules().values() for name in rule.blendshapes}


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


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.25, 0, 0), (0, -0.5, 0), (0, 0, 0.4), (-0.2, 0.35, -0.3)])
def test_pose_of_a_projected_face_is_recovered(angles):
    model, camera = load_shape_model(), camera_of(640, 480)
    rotation, translation = rotation_matrix(np.array(angles)), np.array([20.0, -30, 2500])
    points = camera.project(model.mean @ rotation.T + translation)
    fit = model.fit(points)
    assert np.degrees(np.abs(euler_angles(fit.rotation) - angles)).max() < 2.5
    assert fit.error < 1
    assert np.isclose(fit.scale, camera.focal / 2500, rtol=0.02)
    found = head_translation(model.mean, points, camera, rotation)
    assert np.allclose(found, translation, atol=0.01)
    assert np.allclose(head_translation(fit.shape, points, camera, fit.rotation), translation, rtol=0.03, atol=3)


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
    fit = model.fit(0.7 * (shape @ rotation.T)[:, :2] + [160, 120])
    assert fit.error < 1.2
    assert np.degrees(np.abs(euler_angles(fit.rotation) - [0.1, -0.3, 0.15])).max() < 5
    again = model.fit(0.7 * (shape @ rotation.T)[:, :2] + [160, 120], fit)  # a warm start stays there
    assert np.allclose(again.shape, fit.shape, atol=0.3)


@pytest.mark.parametrize("pose", [(0, 0, 0), (0.2, -0.4, 0.3)])
@pytest.mark.parametrize("angles", [(0, 0), (0.3, 0), (0, -0.2), (-0.2, 0.2)])
def test_gaze_of_a_turned_eye_is_recovered(pose, angles):
    rotation = rotation_matrix(np.array(pose))
    direction = np.array([np.tan(angles[0]), np.tan(angles[1]), -1])
    direction /= np.linalg.norm(direction)
    seen = EYEBALL_RADIUS * direction[:2] + (rotation @ EYEBALLS[0])[:2]  # in the picture plane
    across = rotation[:2, 0] / np.linalg.norm(rotation[:2, 0])
    upright = np.array([across, [-across[1], across[0]]])
    attenuated = upright.T @ (ATTENUATION * (upright @ seen))
    found = gaze_direction(attenuated, rotation, EYEBALLS[0])
    assert np.allclose(found, direction, atol=1e-6)


def test_gaze_points_where_the_iris_is():
    straight = gaze_direction(np.zeros(2), np.eye(3), np.zeros(3))
    assert np.allclose(straight, [0, 0, -1])
    assert gaze_direction(np.array([2.0, 0]), np.eye(3), np.zeros(3))[0] > 0.1  # iris to the right: x positive
    assert gaze_direction(np.array([0, 2.0]), np.eye(3), np.zeros(3))[1] > 0.1  # iris low: y positive
    assert np.isclose(np.linalg.norm(gaze_direction(np.array([50.0, 9]), np.eye(3), np.zeros(3))), 1)


def test_rims_and_lids_lie_on_the_eyeball():
    rim = circle(np.array([0.3, -0.1, -np.sqrt(0.9)]), 5.9)
    assert np.allclose(np.linalg.norm(rim, axis=1), EYEBALL_RADIUS)
    assert rim[0, 0] < rim[4, 0] and rim[2, 1] < rim[6, 1]  # left first, then over the top
    centre = np.array([30.0, -10, 500])
    points = on_sphere(np.array([[0.06, -0.02, 1], [0.07, -0.02, 1], [0.5, 0.5, 1]]), centre)
    assert np.allclose(np.linalg.norm(points - centre, axis=1), EYEBALL_RADIUS)
    assert points[0, 2] < centre[2]


def test_action_units_rise_with_their_expression():
    mesh = np.random.default_rng(2).uniform(0, 1, (478, 3))
    mesh[33], mesh[263], mesh[13], mesh[14] = [0, 0, 0], [10, 0, 0], [5, 5, 0], [5, 5, 0]
    mesh[50], mesh[280] = [0, 6, 0], [10, 6, 0]
    smile = BLENDSHAPES | {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}
    open_mouth, cheeks = mesh.copy(), mesh.copy()
    open_mouth[14, 1] += 2
    cheeks[[50, 280], 1] -= 0.4
    neutral = rule_values(mesh, BLENDSHAPES)
    values = np.array(
        [
            *[neutral] * 7,
            rule_values(mesh, smile),
            rule_values(open_mouth, BLENDSHAPES),
            rule_values(cheeks, BLENDSHAPES),
            np.full(len(load_rules()), np.nan),
        ]
    )
    intensity, presence = action_units(values)
    assert intensity.shape == (11, 17) and presence.shape == (11, 18)
    for unit, frame in (("AU12", 7), ("AU25", 8), ("AU06", 9)):
        column = intensity[:10, AU_INTENSITIES.index(unit)]
        assert column[frame] > 2 and (np.delete(column, frame) < 0.1).all()
        assert np.flatnonzero(presence[:10, AU_PRESENCES.index(unit)]).tolist() == [frame]
    assert np.nanmin(intensity) >= 0 and np.nanmax(intensity) <= 5
    assert set(np.unique(presence[:10])) <= {0.0, 1.0}
    assert np.isnan(intensity[10]).all() and np.isnan(presence[10]).all()


def test_every_action_unit_has_a_rule():
    assert set(load_rules()) == set(AU_PRESENCES) and len(AU_INTENSITIES) == 17 and len(AU_PRESENCES) == 18
    assert len({*MESH_IRIS, *MESH_LIDS.ravel()}) == 26
