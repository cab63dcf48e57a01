"""Column statistics for standardisation."""

from collections.abc import Callable, Iterable

import numpy as np


def mean_and_std(portions: Callable[[], Iterable[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column over the frames where it is defined.

    Parameters
    ----------
    portions : function
        Gives all frames, some at a time [shape=(frames, columns)]; it is called twice. NaN marks an undefined value. How the
        frames are cut changes no bit of the result.

    Returns
    -------
    tuple of np.ndarray [shape=(columns,)]
        float32. A column that is nowhere defined has mean 0; one that does not vary has standard deviation 1, so that
        standardisation leaves it at 0.
    """
    count, total = 0, 0.0
    for values in portions():
        defined = ~np.isnan(values)
        count = count + defined.sum(0)
        total = _add(total, np.where(defined, values, 0).astype(np.float64))
    count = np.maximum(count, 1)
    mean, squares = total / count, 0.0
    for values in portions():
        squares = _add(squares, np.where(np.isnan(values), 0, values.astype(np.float64) - mean) ** 2)
    deviation = np.sqrt(squares / count)
    # Rounding leaves a constant column with a deviation that is tiny beside its mean, but not 0.
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return mean.astype(np.float32), np.where(constant, 1, deviation).astype(np.float32)


def _add(total: np.ndarray | float, rows: np.ndarray) -> np.ndarray:
    """The rows, added to `total` one after the other: the order, and so each bit, is that of a single sum over all."""
    if len(rows):
        rows[0] += total
    return np.add.reduce(rows, axis=0) if len(rows) else total
