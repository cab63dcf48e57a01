"""Mean over windows and column statistics, with undefined values."""

import numpy as np

from features.pooling import mean_pool
from features.statistics import mean_and_std


def test_mean_pool_with_a_short_last_window_and_gaps():
    values = np.array([[1.0], [2.0], [6.0], [np.nan], [8.0]])
    np.testing.assert_allclose(mean_pool(values, 2), [[1.5], [6.0], [8.0]])
    np.testing.assert_allclose(mean_pool(values, 5), [[4.25]])
    assert np.isnan(mean_pool(np.full((3, 2), np.nan), 3)).all()
    assert mean_pool(np.zeros((0, 4)), 5).shape == (0, 4)
    assert mean_pool(values, 1) is values


def test_statistics_ignore_undefined_values():
    values = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]])
    mean, std = mean_and_std(lambda: [values])
    np.testing.assert_allclose(mean, [2, 5, 0])
    np.testing.assert_allclose(std, [1, 1, 1])


def test_statistics_of_portions_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(3, 2, (999, 7)).astype(np.float32)
    values[::5, 2] = np.nan
    whole = mean_and_std(lambda: [values.copy()])
    np.testing.assert_allclose(whole[0], np.nanmean(values, axis=0), rtol=1e-5)
    np.testing.assert_allclose(whole[1], np.nanstd(values, axis=0), rtol=1e-5)
    for cuts in ([1], [500], [0, 3, 3, 998]):
        parts = mean_and_std(lambda cuts=cuts: np.split(values, cuts))
        np.testing.assert_array_equal(parts, whole)
