"""The calibration set: what it holds, what disturbances do to a picture, and that its truth is that of the pictures."""

import numpy as np
import pytest

from demo.calibration import (
    CALIBRATION_SEEDS,
    DISTURBANCES,
    EVALUATION_SEED,
    Shot,
    compress,
    disturb,
    faceless,
    hide,
    light,
    shots,
    shrink_face,
    side_by_side,
    take,
)
from demo.head import Head
from demo.mesh import unit_names


@pytest.fixture(scope="module")
def head():
    return Head(11, supersample=1)


@pytest.fixture(scope="module")
def frame(head):
    return Shot("still").of(head, 0)


def test_every_face_unit_is_swept_alone_from_rest_to_full():
    sweeps = [shot for shot in shots(5) if shot.part == "units"]
    for name in (name for name in unit_names() if not name.startswith("eyeLook")):
        driven = [shot for shot in sweeps if name in shot.units]
        assert np.allclose([shot.units[name] for shot in driven], [0, 0.2, 0.4, 0.6, 0.8, 1])
        base = name.removesuffix("Left").removesuffix("Right")
        assert all(shot.driven == base and all(unit.startswith(base) for unit in shot.units) for shot in driven)


def test_sweeps_of_the_head_turn_one_axis_to_its_end():
    poses = np.degrees([shot.pose for shot in shots(5) if shot.part == "pose"])
    assert ((np.abs(poses) > 1e-6).sum(1) <= 1).all()
    assert np.allclose(poses.max(0), [45, 25, 25]) and np.allclose(poses.min(0), [-45, -25, -25])


def test_mixtures_are_the_speakers_own_and_come_back():
    first, again, other = (repr([shot for shot in shots(seed) if shot.part == "mixture"]) for seed in (5, 5, 6))
    assert first == again and first != other


def test_those_who_are_judged_served_no_calibration():
    assert EVALUATION_SEED not in CALIBRATION_SEEDS and max(CALIBRATION_SEEDS) < EVALUATION_SEED


def test_the_truth_alone_is_that_of_the_picture(head):
    shot = shots(11)[250]
    assert shot.part == "mixture"
    drawn, alone = shot.of(head, 250), shot.of(head, 250, drawn=False)
    assert drawn.image.shape == (240, 320, 3) and alone.image.size == 0
    for name in ("landmarks_2d", "eye_landmarks_2d", "gaze", "units", "rotation"):
        assert np.array_equal(getattr(drawn, name), getattr(alone, name))
    assert np.allclose(np.degrees(alone.head_pose)[[1, 0, 2]], np.degrees(shot.pose))


def test_frames_of_a_still_head_differ_by_noise_alone(head):
    first, second = take(head, [Shot("still"), Shot("still")])
    assert np.array_equal(first.landmarks_2d, second.landmarks_2d)
    assert 0 < np.abs(first.image.astype(int) - second.image).mean() < 6


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_grows_and_keeps_the_picture(name, frame):
    changes = []
    for strength in DISTURBANCES[name][0]:
        picture, transform = disturb(frame, name, strength)
        assert picture.shape == frame.image.shape and picture.dtype == np.uint8 and transform.shape == (2, 3)
        changes.append(np.abs(picture.astype(int) - frame.image).mean())
    assert changes == sorted(changes) and changes[0] > 0.2


def test_an_unknown_disturbance_is_an_error(frame):
    with pytest.raises(KeyError, match="fog"):
        disturb(frame, "fog", 1)


def test_light_darkens_and_blows(frame):
    assert light(frame.image, 0.1).mean() < 0.5 * frame.image.mean()
    assert (light(frame.image, 8) == 255).mean() > 0.3


def test_harsher_compression_keeps_less(frame):
    apart = [np.abs(compress(frame.image, quality).astype(int) - frame.image).mean() for quality in (20, 51)]
    assert apart[0] < 8 and apart[1] > 1.5 * apart[0]


def test_the_block_hides_its_landmark_and_nothing_far(frame):
    hidden = hide(frame.image, frame.landmarks_2d, 0.5, 48)
    x, y = np.int32(frame.landmarks_2d[48])
    assert np.allclose(hidden[y, x], [204, 158, 132], atol=1)
    x, y = np.int32(frame.landmarks_2d[19])
    assert np.array_equal(hidden[y - 3 : y + 3, x - 3 : x + 3], frame.image[y - 3 : y + 3, x - 3 : x + 3])


def test_the_transform_of_a_small_face_moves_its_points(frame):
    square = np.zeros((240, 320, 3), np.uint8)
    square[100:120, 200:220] = 255
    small, transform = shrink_face(square, 0.5)
    rows, columns = np.nonzero(small[..., 0] > 127)
    corners = np.array([[200, 100], [220, 120]]) @ transform[:, :2].T + transform[:, 2]
    assert np.allclose(corners, [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], atol=0.5)


def test_two_people_stand_beside_each_other(frame):
    other = np.full_like(frame.image, 9)
    both = side_by_side(frame.image, other)
    assert both.shape == frame.image.shape
    assert np.array_equal(both[:, :160], frame.image[:, 80:240]) and (both[:, 160:] == 9).all()


def test_pictures_without_a_face_come_back():
    pictures, again = faceless(3, count=2), faceless(3, count=2)
    assert len(pictures) >= 4
    for kind, shown in pictures.items():
        assert shown.shape == (2, 240, 320, 3) and shown.dtype == np.uint8 and np.array_equal(shown, again[kind])
        assert not np.array_equal(shown[0], shown[1])
