"""Column statistics for standardisation."""

import numpy as np


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column over the frames where it is defined.

    Parameters
    ----------
    values : np.ndarray [shape=(frames, columns)]
        NaN marks an undefined value.

    Returns
    -------
    tuple of np.ndarray [shape=(columns,)]
        float32. A column that is nowhere defined has mean 0; one that does not vary has standard deviation 1, so that
        standardisation leaves it at 0.
    """
    defined = ~np.isnan(values)
    count = np.maximum(defined.sum(0), 1)
    filled = np.where(defined, values, 0).astype(np.float64)
    mean = filled.sum(0) / count
    deviation = np.sqrt((np.where(defined, filled - mean, 0) ** 2).sum(0) / count)
    # Rounding leaves a constant column with a deviation that is tiny beside its mean, but not 0.
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return mean.astype(np.float32), np.where(constant, 1, deviation).astype(np.float32)
