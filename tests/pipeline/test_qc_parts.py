"""The contact sheet shows the least certain frames with the drawing in its place, and the tracks have known values."""

import json

import numpy as np
import pytest

from features.draw import BOX, POINT
from features.openface import COLUMNS, block_slice
from pipeline.pages.qc_sheet import SIDE, chosen_frames, face_tile, read_chosen, whole_tile
from pipeline.pages.qc_tracks import energy, rounded, spans


def test_of_each_part_the_least_certain_frame_is_shown(make_video):
    confidence = np.full(60, 0.9)
    confidence[[3, 17, 59]] = 0.2
    assert chosen_frames(confidence) == [3, 17, 20, 30, 40, 59]
    assert chosen_frames(np.array([0.5, 0.4])) == [0, 1] and chosen_frames(np.zeros(0)) == []
    frames = read_chosen(make_video(frames=30), [4, 20, 50])
    assert list(frames) == [4, 20]
    assert [round(frame.mean()) for frame in frames.values()] == pytest.approx([28, 60], abs=1.5)


def test_the_face_is_drawn_where_it_is():
    frame = np.full((100, 200, 3), 40, np.uint8)
    frame[59:62, 119:122] = 250  # a mark of 3 pixels round (120, 60)
    box = np.array([100, 40, 150, 80], np.float32)
    turned = np.array([[0, -2, 300], [2, 0, 10]])  # the frame's pixels, turned by a quarter and doubled
    columns = np.full(len(COLUMNS), np.nan)
    columns[block_slice("x")], columns[block_slice("y")] = np.repeat(turned @ [120, 60, 1], 68).reshape(2, 68)
    tile = face_tile(frame, box, columns, turned)
    assert tile.shape == (SIDE, SIDE, 3)
    plain = face_tile(frame, box, np.full(len(COLUMNS), np.nan), turned)
    mark = np.argwhere((plain > 200).all(2)).mean(0)
    points = np.argwhere((tile == POINT).all(2))
    assert len(points) and np.abs(points.mean(0) - mark).max() < 1
    edges = np.argwhere((tile == BOX).all(2))
    assert np.ptp(edges[:, 1]) == pytest.approx(SIDE / 1.4, abs=4)
    assert np.unique(face_tile(frame, np.full(4, np.nan), columns, turned)).size == 1


@pytest.mark.parametrize(("size", "height"), [((100, 200), SIDE // 2), ((400, 200), SIDE)])
def test_a_whole_frame_fits_into_its_tile(size, height):
    frame = np.full((*size, 3), 40, np.uint8)
    tile = whole_tile(frame, np.array([10, 20, 50, 60]))
    assert tile.shape == (height, SIDE, 3) and ((tile == BOX).all(2)).any()


def test_energy_is_that_of_a_known_tone():
    tone = 0.5 * np.sin(2 * np.pi * 441 * np.arange(22050) / 22050)
    found = energy(tone)
    assert len(found) == 1 + 22050 // 512
    np.testing.assert_allclose(found[4:-4], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.05)
    assert (energy(np.zeros(100)) == -90).all()


def test_numbers_and_spans():
    assert rounded(np.array([1.26, np.nan, -0.01, np.inf]), 1) == [1.3, None, 0.0, None]
    assert json.dumps(rounded(np.array([119.6, np.nan, -0.2]), 0)) == "[120, null, 0]"
    assert spans(np.array([1, 1, 0, 0, 1], bool), 10) == [[0.0, 0.2], [0.4, 0.5]]
    assert spans(np.zeros(3, bool), 10) == spans(np.zeros(0, bool), 10) == []
