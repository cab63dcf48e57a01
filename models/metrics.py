"""Metrics of CH-SIMS (ACL 2020, section 5.2): labels and predictions in [-1, 1]."""

import numpy as np
from sklearn.metrics import f1_score

LOW, HIGH = -1.0, 1.0
CUTS_2 = (0.0,)
CUTS_3 = (-0.1, 0.1)
CUTS_5 = (-0.7, -0.1, 0.1, 0.7)  # between negative, weakly negative, neutral, weakly positive, positive
NAMES = ("acc2", "acc3", "acc5", "f1", "mae", "corr", "f1_table2")


def classes(values: np.ndarray, cuts: tuple[float, ...]) -> np.ndarray:
    """Class of each value, counted from 0: the number of `cuts` below it. A value on a cut belongs to the class below.

    values : np.ndarray [shape=(n,)]; rounded to 6 decimals, so that a float32 0.1 (0.10000000149) lies on the cut 0.1.
    """
    return np.digitize(np.round(values.astype(np.float64), 6), cuts, right=True)


def sims_metrics(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float | bool]:
    """All metrics of one task.

    Parameters
    ----------
    truth : np.ndarray [shape=(n,)]
        Labels in [-1, 1]; clips with NaN (no label) are left out.
    prediction : np.ndarray [shape=(n,)]
        Clipped to [-1, 1] first.

    Returns
    -------
    dict
        acc2, acc3, acc5 : share of clips in the right class.
        f1 : F1 of the two classes of acc2, weighted by their share of the truth.
        f1_table2 : the same with truth and prediction exchanged, as the F1 of Table 2 of the paper was computed.
        mae : mean absolute error. corr : Pearson's r; NaN if truth or prediction is constant.
        majority : True if all predictions lie in one class of acc2.

    Raises
    ------
    ValueError
        If no clip has a label, or a prediction is not finite.
    """
    present = ~np.isnan(truth)
    if not present.any():
        raise ValueError("no clip has a label to compare with")
    if not np.isfinite(prediction).all():
        raise ValueError(f"{np.sum(~np.isfinite(prediction))} predictions are not finite")
    truth = truth[present].astype(np.float64)
    prediction = np.clip(prediction[present].astype(np.float64), LOW, HIGH)
    truth_2, prediction_2 = classes(truth, CUTS_2), classes(prediction, CUTS_2)
    return {
        "acc2": float(np.mean(truth_2 == prediction_2)),
        "acc3": float(np.mean(classes(truth, CUTS_3) == classes(prediction, CUTS_3))),
        "acc5": float(np.mean(classes(truth, CUTS_5) == classes(prediction, CUTS_5))),
        "f1": float(f1_score(truth_2, prediction_2, average="weighted", zero_division=0)),
        "f1_table2": float(f1_score(prediction_2, truth_2, average="weighted", zero_division=0)),
        "mae": float(np.mean(np.abs(truth - prediction))),
        "corr": correlation(truth, prediction),
        "majority": bool(np.unique(prediction_2).size == 1),
    }


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r of two arrays [shape=(n,)]; NaN if one is constant (to 6 decimals)."""
    if np.ptp(np.round(first, 6)) == 0 or np.ptp(np.round(second, 6)) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def partial_correlation(first: np.ndarray, second: np.ndarray, given: np.ndarray) -> float:
    """Correlation of two arrays once what each shares linearly with a third is taken out; all [shape=(n,)]."""
    pair, one, other = correlation(first, second), correlation(first, given), correlation(second, given)
    rest = (1 - one**2) * (1 - other**2)
    # Where one of the two follows the third exactly, nothing is left to correlate.
    return (pair - one * other) / float(np.sqrt(rest)) if rest > 1e-12 else float("nan")
