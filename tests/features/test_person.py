"""Persons are told apart by the shape of their faces at rest, whatever they express."""

import numpy as np
import pytest

from features.action_units import measure_count
from features.face_units import load_face_units
from features.person import FEW, SAME, identity_of, persons_of

MODEL = load_face_units()


def track_of(person: int, frames: int = 30, unit: str = "", seed: int = 0) -> np.ndarray:
    """Measures of a person [frames, m]: a shape of their own that no expression makes, an expression half of the time."""
    random = np.random.default_rng(person)
    row = np.append(MODEL.neutral, -16.0)
    row[0] = 0
    shape = MODEL.identity @ random.normal(size=MODEL.identity.shape[1])
    row[1 : 1 + len(shape)] += shape * 2.5 * SAME / np.linalg.norm(shape @ MODEL.identity)
    rows = np.tile(row, (frames, 1)) + np.random.default_rng(seed).normal(0, 1e-4, (frames, len(row)))
    if unit:
        rows[::2, 1:-1] += 0.5 * MODEL.responses[MODEL.units.index(unit)]
    return rows


def test_tracks_of_a_person_are_joined_and_numbered_as_they_come():
    tracks = [
        track_of(3, unit="mouthSmile"),
        track_of(1),
        track_of(3, seed=5),
        track_of(2, unit="jawOpen"),
        track_of(1, unit="browDown"),
    ]
    assert persons_of(tracks).tolist() == [0, 1, 0, 2, 1]


def test_an_expression_is_no_identity():
    same = np.linalg.norm(identity_of(track_of(1)[0]) - identity_of(track_of(1, seed=4)[0]))
    other = np.linalg.norm(identity_of(track_of(1)[0]) - identity_of(track_of(2)[0]))
    assert same < SAME / 4 and other > 2 * SAME
    assert np.abs(identity_of(np.append(MODEL.neutral, 0.0))).max() == 0


def test_short_tracks_go_with_the_longest():
    tracks = [track_of(1, FEW - 1), track_of(1, 20), track_of(2, 40)]
    assert persons_of(tracks).tolist() == [1, 0, 1]


@pytest.mark.parametrize("tracks", [[], [np.full((3, measure_count()), np.nan)], [track_of(1)]])
def test_who_is_alone_is_person_0(tracks):
    assert persons_of(tracks).tolist() == [0] * len(tracks)
