"""Photographs under another lamp and with glasses: the face of the demo, whose mesh is given."""

import numpy as np
import pytest

from benchmarks.relight import Lamp, relit, with_glasses
from features.face_units import load_face_units
from features.pose import rotation_matrix

UPRIGHT = load_face_units().upright
POINTS = 120.0 * UPRIGHT.face @ rotation_matrix(np.array([0.05, 0.2, -0.1])).T + [160, 110, 0]
GREY = np.full((240, 320, 3), 128, np.uint8)


def lamp(*direction, ambient=0.1):
    return Lamp(np.array(direction) / np.linalg.norm(direction), ambient, 1.0, 0.0, 20.0, 1.0, 2.0)


def test_a_lamp_brightens_its_side_of_the_face():
    left, right = (relit(GREY, POINTS, lamp(x, 0, -0.5), UPRIGHT).astype(float) for x in (-1, 1))
    cheeks = POINTS[[50, 280], :2].astype(int)  # left and right of the image
    of_left, of_right = ([picture[y, x].mean() for x, y in cheeks] for picture in (left, right))
    assert of_left[0] > 1.5 * of_left[1] and of_right[1] > 1.5 * of_right[0]


def test_light_from_everywhere_changes_nothing():
    random = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    assert np.abs(relit(random, POINTS, lamp(0, 0, -1, ambient=1.0), UPRIGHT).astype(int) - random).max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_glasses_are_around_the_eyes_and_nowhere_else(seed):
    picture = with_glasses(GREY, POINTS, np.random.default_rng(seed), UPRIGHT)
    changed = np.abs(picture.astype(int) - 128).max(2) > 8
    side = np.linalg.norm(POINTS[263, :2] - POINTS[33, :2])
    rows, columns = np.nonzero(changed)
    eyes = POINTS[[33, 133, 362, 263], :2]
    assert columns.min() < eyes[0, 0] and columns.max() > eyes[3, 0], "rims go around the eyes"
    assert np.abs(rows - eyes[:, 1].mean()).max() < 0.7 * side
    mouth = POINTS[[61, 291, 0, 17], :2].astype(int)
    assert not changed[mouth[:, 1], mouth[:, 0]].any()


def test_the_same_seed_gives_the_same_picture():
    first, second = (
        with_glasses(relit(GREY, POINTS, Lamp.drawn(random), UPRIGHT), POINTS, random, UPRIGHT)
        for random in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert np.array_equal(first, second)
