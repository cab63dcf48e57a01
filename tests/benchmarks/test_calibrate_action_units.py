"""The fit of the face units on made-up heads whose answer is known."""

import numpy as np
import pytest

from benchmarks.calibrate_action_units import average_face, best_threshold, fit, weights_of_drawn
from features.face_units import ARRAYS, FaceUnitModel, load_face_units

UNITS = ("browDown", "jawOpen", "mouthClose")


@pytest.fixture(scope="module")
def heads():
    """Responses [3, 12], and four heads with 1000 pictures of 12 measures and a turn."""
    random = np.random.default_rng(0)
    responses, made = random.normal(0, 1, (3, 12)), []
    for _ in range(4):
        amplitudes = random.uniform(0, 1, (1000, 3)) * (random.uniform(0, 1, (1000, 3)) < 0.08)
        measures = random.normal(0, 0.5, 12) + amplitudes @ responses + random.normal(0, 0.05, (1000, 12))
        # The turn before them, and behind them what is no part of the fit.
        made.append(
            (np.column_stack([np.zeros(1000), measures, np.full((1000, 2), 9.0)]), dict(zip(UNITS, amplitudes.T, strict=True)))
        )
    return responses, made


def changes(lamp=0.0):
    """What another lamp changes in ten photographs: the first measure."""
    random = np.random.default_rng(5)
    rows = np.concatenate([random.normal(0, 0.05, (10, 13)), np.full((10, 2), 9.0)], axis=1)
    rows[:, 1] += lamp * random.normal(size=10)
    return rows


def model_of(fitted):
    return FaceUnitModel(UNITS, *(fitted[name].astype(float) for name in ARRAYS[:-2]), np.zeros(13), np.zeros((0, 0)))


def test_what_lamps_change_is_not_believed(heads):
    _, made = heads
    seen = np.zeros((1, 13))
    seen[0, 1] = 0.5
    trusting, wary = (model_of(fit(made, changes(lamp), np.zeros((478, 3)))) for lamp in (0.0, 1.0))
    assert trusting.amplitudes(seen, np.zeros(13)).max() > 10 * wary.amplitudes(seen, np.zeros(13)).max()
    drawn = [model.amplitudes(seen, np.zeros(13), drawn=True) for model in (trusting, wary)]
    assert np.allclose(*drawn) and drawn[0].max() > 0, "lamps do not disturb drawn faces"


def test_responses_and_amplitudes_are_recovered(heads):
    responses, made = heads
    fitted = fit(made, changes(), np.zeros((478, 3)))
    assert fitted["units"].tolist() == list(UNITS) and set(fitted) == {"units", *ARRAYS} - {"drawn", "identity"}
    assert np.abs(fitted["responses"] - responses).max() < 0.15 * np.abs(responses).max()
    model = model_of(fitted)
    measures, truth = made[0][0][:, :-2], made[0][1]
    found = model.amplitudes(measures, np.median(measures, 0))
    assert found.min() >= 0 and np.abs(found - np.column_stack(list(truth.values()))).mean() < 0.05


def test_drawn_faces_are_told_from_people_in_any_light(heads):
    _, made = heads
    random = np.random.default_rng(2)
    people = np.column_stack([np.zeros(300), random.normal(2, 1, (300, 12)), np.full((300, 2), 9.0)])
    fitted = fit(made, changes(), np.zeros((478, 3))) | {"drawn": weights_of_drawn(made, people, changes(0.5))}
    model = FaceUnitModel(UNITS, *(fitted[name].astype(float) for name in ARRAYS[:-1]), np.zeros((0, 0)))
    assert np.mean([model.odds_of_drawn(row) > 0 for row in made[0][0][:200]]) > 0.95
    assert np.mean([model.odds_of_drawn(row) < 0 for row in people]) > 0.95


def test_crossed_lips_teach_nothing(heads):
    _, made = heads
    spoilt = []
    for measures, amplitudes in made:
        crossed = amplitudes["mouthClose"] - amplitudes["jawOpen"] >= 0.5
        assert crossed.any()
        spoilt.append((np.where(crossed[:, None], 1e3, measures), amplitudes))
    for (measures, _), (whole, _) in zip(spoilt, made, strict=True):
        measures[:, [0, -2, -1]] = whole[:, [0, -2, -1]]
    clean, dirty = (fit(heads, changes(), np.zeros((478, 3))) for heads in (made, spoilt))
    assert np.abs(dirty["responses"] - clean["responses"]).max() < 0.25


def test_threshold_tells_best():
    intensity = np.array([0, 0.1, 0.4, 0.9, 1.5, 2.0, 4.0])
    assert 0.9 < best_threshold(intensity, intensity > 1) <= 1.5


def test_average_face_is_symmetric():
    face = load_face_units().face
    lopsided = face + [0.01, 0, 0]
    found = average_face([lopsided, face])
    assert np.allclose(found, face, atol=0.006)
