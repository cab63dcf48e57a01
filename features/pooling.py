"""Pooling of frames: the mean over consecutive windows, as the CH-SIMS features have it for vision (5 frames)."""

import warnings

import numpy as np


def mean_pool(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over consecutive windows of frames; the last window may be shorter.

    Parameters
    ----------
    values : np.ndarray [shape=(frames, columns)]
        NaN marks an undefined value and does not count.
    window : int
        Frames per window, >= 1; 1 changes nothing.

    Returns
    -------
    np.ndarray [shape=(ceil(frames / window), columns)]
        NaN where a window has no defined value.
    """
    frames, columns = values.shape
    if window == 1 or frames == 0:
        return values
    padded = np.full((-(-frames // window) * window, columns), np.nan, values.dtype)
    padded[:frames] = values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(padded.reshape(-1, window, columns), axis=1)
