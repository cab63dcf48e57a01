"""What is drawn on a picture lies where the columns say, in any coordinates, and what is undefined is left out."""

import cv2
import numpy as np
import pytest

from features.draw import AXES, AXIS_LENGTH, BOX, EYE, GAZE, POINT, draw_box, draw_face
from features.openface import COLUMNS, block_slice

SIDE = 300


@pytest.fixture
def columns():
    """A head that looks straight into the camera: 68 points on a circle, the nose in its middle, eyes and gaze."""
    row = np.full(len(COLUMNS), np.nan)
    turns = 2 * np.pi * np.arange(68) / 68
    row[block_slice("x")], row[block_slice("y")] = 150 + 60 * np.cos(turns), 150 + 60 * np.sin(turns)
    row[COLUMNS.index("x_30")] = row[COLUMNS.index("y_30")] = 150
    row[block_slice("eye_lmk_x")] = np.repeat([120, 180], 28)
    row[block_slice("eye_lmk_y")] = 130
    row[block_slice("pose_R")] = 0
    row[block_slice("gaze_0")] = row[block_slice("gaze_1")] = [0, -0.6, -0.8]
    return row


def at(picture, x, y):
    return tuple(picture[round(y), round(x)].tolist())


def empty():
    return np.full((SIDE, SIDE, 3), 40, np.uint8)


def test_points_axes_and_gaze_lie_where_the_columns_say(columns):
    picture = empty()
    drawn = draw_face(picture, columns)
    assert (picture == 40).all() and drawn.shape == picture.shape
    assert at(drawn, 90, 150) == POINT and at(drawn, 150, 90) == POINT  # a quarter and half a turn
    size = 60 * np.sqrt(67 / 68)  # but for the nose all points are 60 px from the middle
    assert at(drawn, 150 + 0.9 * AXIS_LENGTH * size, 150) == AXES[0]  # to the right
    assert at(drawn, 150, 150 + 0.9 * AXIS_LENGTH * size) == AXES[1]  # down
    assert at(drawn, 150 + 1.1 * AXIS_LENGTH * size, 150) == (40, 40, 40)
    for eye in (120, 180):
        assert at(drawn, eye, 130 - 20) == GAZE
        assert at(drawn, eye, 130 + 10) == (40, 40, 40)


def test_a_turned_head_points_forward_to_the_side(columns):
    columns[COLUMNS.index("pose_Ry")] = 0.5  # the nose turns to the left of the image
    drawn = draw_face(empty(), columns)
    assert at(drawn, 150 - 20, 150) == AXES[2]


def test_columns_of_an_aligned_face_are_brought_back_to_the_frame(columns):
    """Turned by a quarter, enlarged and shifted: what pointed down points to the left."""
    to_picture = np.array([[0, -1.2, 330], [1.2, 0, -30]])
    drawn = draw_face(empty(), columns, to_picture)
    plain = draw_face(empty(), columns)
    x, y = to_picture @ [90, 150, 1]
    assert at(drawn, x, y) == at(plain, 90, 150) == POINT
    assert at(drawn, 150 - 60, 150) == AXES[1] and at(drawn, 150, 150 + 60) == AXES[0]


def test_undefined_values_are_left_out(columns):
    for blocks in (["eye_lmk_x", "gaze_0", "gaze_1"], ["pose_R"], ["x", "y"]):
        for block in blocks:
            columns[block_slice(block)] = np.nan
        drawn = draw_face(empty(), columns).reshape(-1, 3)
        colours = {tuple(colour) for colour in np.unique(drawn, axis=0).tolist()}
        assert (POINT in colours) == ("x" not in blocks)
        assert not {EYE, GAZE} & colours
        assert (AXES[0] in colours) == (blocks[0] == "eye_lmk_x")
    assert (drawn == 40).all()


def test_the_box_of_a_face(columns):
    drawn = draw_box(empty(), np.array([10.0, 20, 60, 90]), 2 * np.eye(2, 3))
    assert at(drawn, 20, 100) == at(drawn, 120, 100) == at(drawn, 70, 40) == at(drawn, 70, 180) == BOX
    assert at(drawn, 70, 100) == (40, 40, 40)
    assert (draw_box(empty(), np.full(4, np.nan)) == 40).all()


def test_points_far_outside_the_picture_do_no_harm(columns):
    columns[block_slice("x")] += 1e9
    assert draw_face(empty(), columns).shape == (SIDE, SIDE, 3)
    assert cv2.countNonZero(cv2.absdiff(draw_box(empty(), np.array([-1e9, -1e9, 1e9, 1e9])), empty()).max(2)) == 0
