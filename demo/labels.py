"""Labels M, T, A, V and the split of a synthetic corpus, distributed as in CH-SIMS (Yu et al., ACL 2020, section 3.2).

M has the published histogram. The paper prints the classes of T, A and V as bars without numbers, so their histograms
here are a choice in its spirit (more negative than positive, text the most neutral). The mean squared distances between
the labels are those of its Figure 2. A Gaussian copula ties the four labels; ranks give every label exactly its share.
"""

from __future__ import annotations

import numpy as np

LABELS = ("M", "T", "A", "V")
MODES = ("train", "valid", "test")
VALUES = np.round(np.linspace(-1, 1, 11), 1)

# Clips per value, -1.0 to 1.0 by 0.2. M: the 2,281 clips of CH-SIMS.
HISTOGRAMS = {
    "M": np.array([621, 133, 150, 134, 200, 345, 138, 77, 131, 92, 260]),
    "T": np.array([370, 120, 140, 150, 190, 560, 170, 110, 110, 100, 261]),
    "A": np.array([560, 150, 170, 160, 200, 400, 150, 90, 120, 90, 191]),
    "V": np.array([520, 140, 160, 140, 190, 370, 160, 100, 140, 110, 251]),
}

# Mean squared distance of two labels over the corpus, Figure 2.
DISTANCES = {
    ("M", "T"): 0.25,
    ("M", "A"): 0.14,
    ("M", "V"): 0.17,
    ("T", "A"): 0.28,
    ("T", "V"): 0.46,
    ("A", "V"): 0.21,
}

# Correlations of the copula that give these distances with these histograms (a test holds the two together).
_CORRELATIONS = {
    ("M", "T"): 0.779,
    ("M", "A"): 0.878,
    ("M", "V"): 0.855,
    ("T", "A"): 0.723,
    ("T", "V"): 0.505,
    ("A", "V"): 0.803,
}

# Five classes of M: negative, weakly negative, neutral, weakly positive, positive (section 3.2).
_CLASS_EDGES = np.array([-0.7, -0.1, 0.1, 0.7])

_DRAWS = 200


def draw_labels(clips: int, seed: int) -> np.ndarray:
    """Draw the labels of a corpus.

    Of some draws the one whose distances are nearest to `DISTANCES` is taken: a small corpus would miss them by chance.

    Returns
    -------
    np.ndarray [shape=(clips, 4)], float64
        Columns M, T, A, V; values of `VALUES`; every label has its share of each value, rounded to whole clips.
    """
    rng = np.random.default_rng([seed, 1])
    factor = np.linalg.cholesky(_correlation_matrix())
    quotas = [np.repeat(VALUES, _quota(HISTOGRAMS[label], clips)) for label in LABELS]
    best, best_error = None, np.inf
    for _ in range(_DRAWS):
        ranks = np.argsort(np.argsort(rng.standard_normal((clips, 4)) @ factor.T, axis=0), axis=0)
        labels = np.stack([quota[rank] for quota, rank in zip(quotas, ranks.T, strict=True)], axis=1)
        found = label_distances(labels)
        error = sum((found[pair] - DISTANCES[pair]) ** 2 for pair in DISTANCES)
        if error < best_error:
            best, best_error = labels, error
    return best


def draw_modes(label_m: np.ndarray, seed: int) -> np.ndarray:
    """Split clips into train, valid and test, 6:2:2 within each class of M.

    Parameters
    ----------
    label_m : np.ndarray [shape=(clips,)]

    Returns
    -------
    np.ndarray [shape=(clips,)] of str
    """
    rng = np.random.default_rng([seed, 2])
    order = np.lexsort((rng.random(len(label_m)), label_classes(label_m)))
    modes = np.empty(len(label_m), dtype="<U5")
    modes[order] = np.resize(["train", "valid", "train", "test", "train"], len(label_m))
    return modes


def label_classes(labels: np.ndarray) -> np.ndarray:
    """The five classes of CH-SIMS, 0 (negative) to 4 (positive), of labels of any shape."""
    return np.searchsorted(_CLASS_EDGES, labels)


def label_distances(labels: np.ndarray) -> dict[tuple[str, str], float]:
    """Mean squared distance (equation 1) of each pair of columns of labels [clips, 4]."""
    return {
        (first, second): float(np.mean((labels[:, LABELS.index(first)] - labels[:, LABELS.index(second)]) ** 2))
        for first, second in DISTANCES
    }


def _quota(histogram: np.ndarray, clips: int) -> np.ndarray:
    """Whole clips per value that add up to `clips`, by largest remainder."""
    exact = histogram / histogram.sum() * clips
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: clips - quota.sum()]] += 1
    return quota


def _correlation_matrix() -> np.ndarray:
    matrix = np.eye(4)
    for (first, second), value in _CORRELATIONS.items():
        matrix[LABELS.index(first), LABELS.index(second)] = matrix[LABELS.index(second), LABELS.index(first)] = value
    return matrix
