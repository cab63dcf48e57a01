"""Gaze on known answers: an eyeball turned before a camera, seen by a mesh and in a drawn picture, without networks."""

import numpy as np
import pytest

from features import iris
from features.eyeball import (
    FOLLOWING,
    LARGE,
    PEOPLE,
    Eye,
    Eyeball,
    circles,
    direction_of,
    eye_of,
    followed,
    leading,
    on_sphere,
)
from features.gaze import DOUBT, JUDGED, LARGE_ODDS, IrisSize, gaze_of, patches_of, searched_turns
from features.landmarks import EYE_CORNERS_68, MESH_IRIS, MESH_LIDS
from features.pose import Camera, rotation_matrix

CAMERA = Camera(500, 320, 240)
RENDERED = LARGE[1]  # an eyeball as rendered heads have it
TRANSLATION = np.array([20.0, -30, 450])
# Lids of a wide open eye, mm from the middle of its corners, in the order of MESH_LIDS.
LIDS = np.array(
    [
        *([-14, 0], [-9.3, -4], [-4.7, -5.6], [0, -6], [4.7, -5.6], [9.3, -4]),
        *([14, 0], [9.3, 4], [4.7, 5.6], [0, 6], [-4.7, 5.6], [-9.3, 4]),
    ],
    float,
)


def head(rotation: np.ndarray, eyeball: Eyeball = RENDERED, iris_direction=(0, 0, -1)) -> tuple[np.ndarray, np.ndarray]:
    """A mesh [478, 2] of nothing but eyes, with its irises in a direction of the head, and a shape [68, 3] of it."""
    mesh, shape = np.zeros((478, 2)), np.zeros((68, 3))
    for number, middle in enumerate(([-32.0, 0, 0], [32.0, 0, 0])):
        points = np.column_stack([LIDS, np.zeros(12)]) + middle
        shape[list(EYE_CORNERS_68[number])] = points[[0, 6]]
        iris_centre = eyeball.centre[number] + eyeball.radius * np.cos(eyeball.iris) * np.array(iris_direction)
        seen = CAMERA.project(np.vstack([points, middle + iris_centre]) @ rotation.T + TRANSLATION)
        mesh[MESH_LIDS[number]], mesh[MESH_IRIS[number]] = seen[:12], seen[12]
    return mesh, shape


def picture(
    rotation: np.ndarray, direction: np.ndarray, white=200, dark=(90, 60, 40), black=10, eyeball: Eyeball = RENDERED
) -> np.ndarray:
    """A picture [480, 640, 3] of two eyeballs that look in a direction of the head, all of their front uncovered."""
    frame = np.full((480, 640, 3), white, np.uint8)
    rows, columns = np.mgrid[:480, :640]
    rays = CAMERA.rays(np.column_stack([columns.ravel(), rows.ravel()]) + 0.5)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    for number, middle in enumerate(([-32.0, 0, 0], [32.0, 0, 0])):
        centre = rotation @ (middle + eyeball.centre[number]) + TRANSLATION
        along = rays @ centre
        inside = eyeball.radius**2 - centre @ centre + along**2
        hit = np.flatnonzero(inside > 0)
        normals = rays[hit] * (along[hit] - np.sqrt(inside[hit]))[:, None] - centre
        angles = np.arccos(np.clip(normals @ (rotation @ direction) / eyeball.radius, -1, 1))
        frame.reshape(-1, 3)[hit[angles < eyeball.iris]] = dark
        frame.reshape(-1, 3)[hit[angles < eyeball.pupil]] = black
    return frame


def shut(mesh: np.ndarray) -> np.ndarray:
    """The mesh with its lids shut and its irises thrown down, as a blink throws them."""
    mesh = mesh.copy()
    for lids in MESH_LIDS:
        mesh[lids[7:]] = mesh[lids[5:0:-1]]
    mesh[list(MESH_IRIS)] += [4, 5]
    return mesh


@pytest.mark.parametrize("pose", [(0, 0, 0), (0.15, -0.35, 0.2), (-0.1, 0.42, 0)])
@pytest.mark.parametrize("yaw, pitch", [(0, 0), (0.3, 0), (-0.2, 0.15), (0.1, -0.2)])
def test_gaze_of_people_is_that_of_their_irises_in_the_mesh(pose, yaw, pitch):
    rotation = rotation_matrix(np.array(pose))
    seen = direction_of(yaw, followed(pitch))
    mesh, shape = head(rotation, PEOPLE, seen)
    true = rotation @ direction_of(yaw, pitch)
    for frame in (None, picture(rotation, seen, eyeball=PEOPLE)):
        gaze = gaze_of(mesh, shape, rotation, TRANSLATION, CAMERA, frame)
        assert gaze.eyeball is PEOPLE
        assert np.degrees(np.arccos(gaze.directions @ true)).max() < 2


def test_a_shadow_under_the_lid_does_not_raise_the_gaze_of_people():
    mesh, shape = head(np.eye(3), PEOPLE)
    frame = picture(np.eye(3), direction_of(0, 0), eyeball=PEOPLE)
    for lids in MESH_LIDS:
        left, right = mesh[lids[[0, 6]], 0].astype(int)
        top = int(mesh[lids[3], 1])
        frame[top : top + 4, left:right] = frame[top : top + 4, left:right] // 3
    gaze = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, frame)
    assert np.degrees(np.abs(gaze.angles)).max() < 1


def test_a_blink_holds_the_gaze_in_the_head():
    seen = direction_of(0.2, followed(-0.1))
    mesh, shape = head(np.eye(3), PEOPLE, seen)
    before = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, picture(np.eye(3), seen, eyeball=PEOPLE))
    turned = rotation_matrix(np.array([0.05, -0.1, 0]))
    mesh, shape = head(turned, PEOPLE, seen)
    blink = gaze_of(shut(mesh), shape, turned, TRANSLATION, CAMERA, picture(turned, seen), before=before)
    assert np.allclose(blink.directions, before.directions @ turned.T)
    assert blink.iris_size == before.iris_size and before.iris_size.frames == 1  # shut eyes say nothing of their irises
    after = gaze_of(mesh, shape, turned, TRANSLATION, CAMERA, before=blink)
    assert np.degrees(np.arccos(after.directions @ (turned @ direction_of(0.2, -0.1)))).max() < 1


def test_large_irises_are_believed_after_some_frames_and_then_kept():
    mesh, shape = head(np.eye(3))
    large, small = (picture(np.eye(3), direction_of(0, 0), eyeball=eyeball) for eyeball in (RENDERED, PEOPLE))
    gaze = None
    for _ in range(5):
        gaze = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, large, before=gaze)
    assert gaze.eyeball in LARGE and gaze.if_large is None and gaze.iris_size.frames == 5
    once = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, small, before=gaze)
    assert once.eyeball in LARGE and once.iris_size.odds < gaze.iris_size.odds


def test_while_the_size_of_the_irises_is_not_decided_both_gazes_are_given():
    seen = direction_of(0.2, followed(-0.1))
    mesh, shape = head(np.eye(3), RENDERED, seen)
    flat = np.full((480, 640, 3), 128, np.uint8)  # tells nothing of the size
    gaze = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, flat)
    assert gaze.eyeball is PEOPLE and gaze.if_large.eyeball in LARGE
    assert gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA).if_large is None  # without a picture they are people's
    moved = gaze.moved(np.array([1.0, 2, 3]))
    assert np.allclose(moved.if_large.landmarks - gaze.if_large.landmarks, [1, 2, 3])
    blink = gaze_of(shut(mesh), shape, np.eye(3), TRANSLATION, CAMERA, flat, before=gaze)
    assert np.allclose(blink.directions, gaze.directions)
    assert blink.iris_size == gaze.iris_size and blink.if_large is not None


def test_the_size_of_the_irises_is_decided_at_the_latest_after_enough_frames():
    assert not IrisSize().large and not IrisSize().small
    doubtful = LARGE_ODDS + DOUBT / 20
    assert not IrisSize(doubtful, 19).large and not IrisSize(doubtful, 19).small
    assert IrisSize(doubtful, 21).large and IrisSize(LARGE_ODDS - DOUBT / 20, 21).small
    for odds in (LARGE_ODDS, LARGE_ODDS + 1e-6):
        assert IrisSize(odds, JUDGED).large != IrisSize(odds, JUDGED).small
    size = IrisSize()
    for odds in (1.0, 2.0, 6.0):
        size = size.and_of(odds)
    assert size == IrisSize(3.0, 3)
    assert IrisSize.over([size, IrisSize(-1.0, 1), IrisSize()]) == IrisSize(2.0, 4)
    assert IrisSize.over([]) == IrisSize()


@pytest.mark.parametrize("pose", [(0, 0, 0), (0.15, -0.35, 0.2)])
@pytest.mark.parametrize("yaw, pitch", [(0, 0), (0.3, 0), (-0.2, 0.15), (0.1, -0.2)])
def test_gaze_is_found_where_the_picture_shows_it(pose, yaw, pitch):
    rotation = rotation_matrix(np.array(pose))
    mesh, shape = head(rotation)
    frame = picture(rotation, direction_of(yaw, followed(pitch)))
    gaze = gaze_of(mesh, shape, rotation, TRANSLATION, CAMERA, frame)
    true = rotation @ direction_of(yaw, pitch)
    assert np.degrees(np.arccos(gaze.directions @ true)).max() < 4
    assert np.allclose(np.linalg.norm(gaze.directions, axis=1), 1)


def test_an_aligned_picture_gives_the_same_gaze():
    rotation = rotation_matrix(np.array([0.05, 0.2, 0]))
    mesh, shape = head(rotation)
    frame = picture(rotation, direction_of(0.2, 0.1))
    transform = np.array([[0.5, 0, 10], [0, 0.5, -20]])
    halved = Camera(250, 170, 100)
    first = gaze_of(mesh, shape, rotation, TRANSLATION, CAMERA, frame)
    second = gaze_of(mesh * 0.5 + [10, -20], shape, rotation, TRANSLATION, halved, frame, transform)
    assert np.allclose(first.directions, second.directions, atol=1e-3)
    assert np.allclose(first.pixels * 0.5 + [10, -20], second.pixels, atol=0.05)
    assert np.allclose(first.landmarks, second.landmarks, atol=0.05)


def test_size_and_tone_of_the_eye_do_not_matter():
    mesh, shape = head(np.eye(3))
    direction = direction_of(0.2, 0)
    dark = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, picture(np.eye(3), direction))
    blue = picture(np.eye(3), direction, white=120, dark=(40, 90, 120), black=5)
    bright = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, blue)
    assert np.degrees(np.arccos((dark.directions * bright.directions).sum(1))).max() < 3


def test_a_highlight_does_not_turn_the_gaze():
    mesh, shape = head(np.eye(3))
    frame = picture(np.eye(3), direction_of(0, 0))
    plain = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, frame)
    for middle in plain.pixels.reshape(2, 28, 2)[:, 20:].mean(1):
        x, y = (middle + [1.5, -1.5]).round().astype(int)
        frame[y - 1 : y + 1, x - 1 : x + 1] = 255
    lit = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, frame)
    assert np.degrees(np.arccos((plain.directions * lit.directions).sum(1))).max() < 3


def test_without_contrast_or_picture_the_mesh_tells_the_gaze():
    mesh, shape = head(np.eye(3))
    mesh[list(MESH_IRIS), 0] += 3.0
    alone = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA)
    assert alone.directions[:, 0].min() > 0.1  # iris to the right: x positive
    flat = gaze_of(mesh, shape, np.eye(3), TRANSLATION, CAMERA, np.full((480, 640, 3), 128, np.uint8))
    assert np.degrees(np.arccos(np.minimum((alone.directions * flat.directions).sum(1), 1))).max() < 0.5
    x, y, z = alone.directions.mean(0)
    assert np.allclose(alone.angles, [np.arctan2(x, -z), np.arctan2(y, -z)])


def test_shut_eyes_look_where_the_head_does():
    rotation = rotation_matrix(np.array([0.1, 0.2, 0]))
    mesh, shape = head(rotation)
    gaze = gaze_of(shut(mesh), shape, rotation, TRANSLATION, CAMERA, picture(rotation, direction_of(0.4, 0)))
    assert np.allclose(gaze.directions, rotation @ [0, 0, -1], atol=1e-3)


def test_landmarks_lie_on_the_eyeball_and_project_onto_their_pixels():
    rotation = rotation_matrix(np.array([0, -0.2, 0.1]))
    mesh, shape = head(rotation)
    gaze = gaze_of(mesh, shape, rotation, TRANSLATION, CAMERA, picture(rotation, direction_of(0.1, 0.05)))
    assert gaze.landmarks.shape == (56, 3) and gaze.pixels.shape == (56, 2)
    apart = np.linalg.norm(CAMERA.project(gaze.landmarks) - gaze.pixels, axis=1).reshape(2, 28)
    assert np.delete(apart, [8, 14], axis=1).max() < 0.5  # the corners lie beside the eyeball
    for number, points in enumerate(gaze.pixels.reshape(2, 28, 2)):
        rim = points[:8]
        assert rim[0, 0] < rim[4, 0] and rim[2, 1] < rim[6, 1]  # left first, then over the top
        assert np.array_equal(points[8:20], mesh[MESH_LIDS[number]])
        centre = CAMERA.project((rotation @ [(-32, 32)[number], 0, 0] + TRANSLATION)[None])[0]
        assert np.linalg.norm(rim.mean(0) - centre) < 5


def test_points_of_an_eyeball():
    rims = circles(np.array([0.3, -0.1, -np.sqrt(0.9)]), 12.0, (0.5, 0.2))
    assert rims.shape == (2, 8, 3) and np.allclose(np.linalg.norm(rims, axis=2), 12)
    assert np.allclose(rims[0] @ [0.3, -0.1, -np.sqrt(0.9)], 12 * np.cos(0.5))
    centre = np.array([30.0, -10, 500])
    points = on_sphere(np.array([[0.06, -0.02, 1], [0.07, -0.02, 1], [0.5, 0.5, 1]]), centre, 12.0)
    assert np.allclose(np.linalg.norm(points - centre, axis=1), 12)
    assert points[0, 2] < centre[2]


def test_an_eye_is_measured_in_the_plane_of_the_face():
    rotation = rotation_matrix(np.array([0.1, 0.3, -0.2]))
    mesh, shape = head(rotation)
    eye = eye_of(0, mesh, shape, rotation, TRANSLATION, CAMERA)
    assert np.abs(eye.lids - LIDS).max() < 0.5
    assert np.isclose(eye.lower - eye.upper, 10.08, atol=0.2)
    assert np.allclose(rotation @ eye.view, eye.middle / np.linalg.norm(eye.middle))


def test_mean_turn_lies_between_the_turns_of_the_grid():
    likelihood = -200 * (iris.TURNS[:, 0] - 0.123) ** 2 - 300 * (iris.TURNS[:, 1] + 0.21) ** 2
    assert np.allclose(iris.mean_turn(iris.TURNS, likelihood), (0.123, -0.21), atol=1e-3)


def test_a_bright_eye_has_no_highlight_where_its_white_is():
    dark = np.full((iris.TALL, iris.WIDE), 250, np.uint8)  # level + 30 is beyond a uint8
    dark[:, 10:12] = 235
    assert not iris.highlights(dark, np.ones(dark.shape, bool)).any()
    dark[:] = 100
    dark[8:10, 15:17] = 200
    found = iris.highlights(dark, np.ones(dark.shape, bool))
    assert found[8:10, 15:17].all() and found.sum() == 4


def test_an_eye_outside_the_picture_is_no_error():
    eyes = [Eye(np.array([[2.0, 0, -500], [0, 2, -500]]), np.zeros(3), np.array([0, 0, 1.0]), LIDS, np.zeros(2))] * 2
    turns, _ = searched_turns(eyes, patches_of(eyes, np.zeros((100, 100, 3), np.uint8), np.eye(2, 3)))
    assert np.isfinite(turns).all()


def test_followed_pitch_is_smaller():
    assert np.isclose(np.sin(followed(0.3)), (1 - FOLLOWING) * np.sin(0.3))
    assert np.isclose(leading(followed(0.3)), 0.3)
