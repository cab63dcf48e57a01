"""Mouth openings and loudness of known course."""

import numpy as np
import pytest

from features.speaker import LAGS, loudness_of, mouth_opening, speaking_scores, without_slow


@pytest.fixture
def curves():
    """The opening of a mouth, its sound, and a mouth that has nothing to do with it."""
    random = np.random.default_rng(1)
    smooth = np.hanning(7) / np.hanning(7).sum()
    mouth, other = (np.convolve(random.normal(size=120), smooth, "same") for _ in range(2))
    return mouth, mouth + 0.3 * random.normal(size=120), other


def test_the_mouth_that_goes_with_the_sound_scores_higher(curves):
    mouth, sound, other = curves
    first, second = speaking_scores(np.column_stack([mouth, other]), sound)
    assert first > 0.6 and second < 0.4


@pytest.mark.parametrize("lag", [min(LAGS), 0, max(LAGS)])
def test_sound_may_be_a_little_late(curves, lag):
    mouth, sound, _ = curves
    assert speaking_scores(mouth[:, None], np.roll(sound, lag))[0] > 0.6


def test_a_face_seen_for_a_moment_scores_less(curves):
    mouth, sound, _ = curves
    briefly = np.where(np.arange(120) < 12, mouth, np.nan)
    whole, part = speaking_scores(np.column_stack([mouth, briefly]), sound)
    assert part < whole / 2


def test_a_closed_mouth_and_one_never_seen_score_nothing(curves):
    openings = np.column_stack([np.zeros(120), np.full(120, np.nan)])
    assert speaking_scores(openings, curves[1]).tolist() == [0, 0]


def test_sound_may_be_shorter_or_longer_than_the_picture(curves):
    mouth, sound, _ = curves
    assert speaking_scores(mouth[:, None], sound[:110])[0] > 0.5
    assert np.isclose(speaking_scores(mouth[:100, None], sound)[0], speaking_scores(mouth[:100, None], sound[:100])[0])


def test_slow_changes_are_taken_off():
    slow = np.linspace(0, 5, 90)
    assert np.abs(without_slow(slow)[20:-20]).max() < 1e-9
    curve = np.where(np.arange(90) == 40, np.nan, slow)
    assert np.isnan(without_slow(curve)[40]) and np.isfinite(np.delete(without_slow(curve), 40)).all()


def test_loudness_is_that_of_each_frame():
    samples = np.concatenate([np.zeros(735), np.full(735, 0.5), np.full(735, 0.05)])
    loudness = loudness_of(samples, 22050, 30)
    assert loudness.shape == (3,) and np.allclose(loudness, np.log([1e-3, 0.501, 0.051]))
    assert loudness_of(np.zeros(0), 22050, 30).shape == (0,)


def test_mouth_opening_does_not_depend_on_size():
    points = np.zeros((478, 3))
    points[33], points[263], points[13], points[14] = [0, 0, 0], [10, 0, 0], [5, 8, 0], [5, 10, 0]
    assert np.isclose(mouth_opening(points), 0.2) and np.isclose(mouth_opening(7 * points), 0.2)
