"""Metrics of CH-SIMS (labels in [-1, 1]; ACL 2020, section 5.2) and of MOSI and MOSEI (labels in [-3, 3])."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import f1_score

LOW, HIGH = -1.0, 1.0
CUTS_2 = (0.0,)
CUTS_3 = (-0.1, 0.1)
CUTS_5 = (-0.7, -0.1, 0.1, 0.7)  # between negative, weakly negative, neutral, weakly positive, positive
CLASS_NAMES = (
    "strongly negative", "negative", "weakly negative", "neutral", "weakly positive", "positive", "strongly positive"
)  # fmt: skip
NAMES = ("acc2", "acc3", "acc5", "f1", "mae", "corr", "f1_table2")
MOSI_NAMES = ("acc2_non_negative", "acc2_positive", "f1_non_negative", "f1_positive", "acc5", "acc7", "mae", "corr")
METRIC_TITLES = {
    "acc2": "Acc-2",
    "acc2_non_negative": "Acc-2 (neg./non-neg.)",
    "acc2_positive": "Acc-2 (neg./pos.)",
    "acc3": "Acc-3",
    "acc5": "Acc-5",
    "acc7": "Acc-7",
    "f1": "F1",
    "f1_non_negative": "F1 (neg./non-neg.)",
    "f1_positive": "F1 (neg./pos.)",
    "mae": "MAE",
    "corr": "Corr",
    "f1_table2": "F1_table2",
}


def metrics_for(label_range: tuple[float, float]) -> tuple[Callable[..., dict[str, float | bool]], tuple[str, ...]]:
    """The function (truth, prediction) -> metrics of a corpus, and the names of its metrics in the order of print.

    label_range : lowest and highest label; (-1, 1) as CH-SIMS or (-3, 3) as MOSI and MOSEI.

    Raises ValueError for any other range.
    """
    if tuple(label_range) == (LOW, HIGH):
        return sims_metrics, NAMES
    if tuple(label_range) == (-3.0, 3.0):
        return mosi_metrics, MOSI_NAMES
    raise ValueError(f"no metrics for labels in {tuple(label_range)}; set label_range to [-1, 1] or [-3, 3]")


def classes(values: np.ndarray, cuts: tuple[float, ...]) -> np.ndarray:
    """Class of each value, counted from 0: the number of `cuts` below it. A value on a cut belongs to the class below.

    values : np.ndarray [shape=(n,)]; rounded to 6 decimals, so that a float32 0.1 (0.10000000149) lies on the cut 0.1.
    """
    return np.digitize(np.round(values.astype(np.float64), 6), cuts, right=True)


def class_name(value: float, label_range: tuple[float, float]) -> str:
    """The finest class of the corpus that a prediction lies in, in words: of five in [-1, 1], of seven in [-3, 3]."""
    value = np.clip(np.array([value]), *label_range)
    if tuple(label_range) == (LOW, HIGH):
        return CLASS_NAMES[1:-1][classes(value, CUTS_5)[0]]
    return CLASS_NAMES[int(np.round(value)[0]) + 3]


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
    truth, prediction = labelled(truth, prediction)
    prediction = np.clip(prediction, LOW, HIGH)
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


def mosi_metrics(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float | bool]:
    """All metrics of one task on MOSI or MOSEI, as they are reported since MulT (Tsai et al., ACL 2019) and MISA (2020).

    Parameters
    ----------
    truth : np.ndarray [shape=(n,)]
        Labels in [-3, 3]; clips with NaN (no label) are left out.
    prediction : np.ndarray [shape=(n,)]
        Taken as it is for mae and corr, not clipped.

    Returns
    -------
    dict
        acc2_non_negative, f1_non_negative : negative against non-negative (>= 0), all clips.
        acc2_positive, f1_positive : negative (<= 0) against positive, clips with truth 0 left out; NaN if none is left.
        acc5, acc7 : classes by rounding after clipping to [-2, 2] and [-3, 3]; a half goes to the even number.
        mae, corr, majority : as in `sims_metrics`, majority by the classes of acc2_non_negative.

        F1 is that of the two classes, weighted by their share of the truth.

    Raises
    ------
    ValueError
        If no clip has a label, or a prediction is not finite.
    """
    truth, prediction = labelled(truth, prediction)
    sides = np.round(truth, 6) >= 0, np.round(prediction, 6) >= 0
    sided = np.round(truth, 6) != 0
    positive = (truth > 0)[sided], (prediction > 0)[sided]
    return {
        "acc2_non_negative": float(np.mean(sides[0] == sides[1])),
        "acc2_positive": float(np.mean(positive[0] == positive[1])) if sided.any() else float("nan"),
        "f1_non_negative": float(f1_score(*sides, average="weighted", zero_division=0)),
        "f1_positive": float(f1_score(*positive, average="weighted", zero_division=0)) if sided.any() else float("nan"),
        "acc5": rounded_accuracy(truth, prediction, 2),
        "acc7": rounded_accuracy(truth, prediction, 3),
        "mae": float(np.mean(np.abs(truth - prediction))),
        "corr": correlation(truth, prediction),
        "majority": bool(np.unique(sides[1]).size == 1),
    }


def rounded_accuracy(truth: np.ndarray, prediction: np.ndarray, limit: int) -> float:
    """Share of predictions [shape=(n,)] that, clipped to +-limit, round to the same whole number as the truth."""
    truth, prediction = (np.round(np.clip(np.round(values, 6), -limit, limit)) for values in (truth, prediction))
    return float(np.mean(truth == prediction))


def labelled(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction [shape=(n,)] of the clips that have a label (not NaN), in float64.

    Raises ValueError if no clip has a label, or a prediction is not finite.
    """
    present = ~np.isnan(truth)
    if not present.any():
        raise ValueError("no clip has a label to compare with")
    if not np.isfinite(prediction).all():
        raise ValueError(f"{np.sum(~np.isfinite(prediction))} predictions are not finite")
    return truth[present].astype(np.float64), prediction[present].astype(np.float64)


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
