"""The accuracy of the vision features as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.accuracy_action_units import above_the_diagonal
from benchmarks.accuracy_scores import GOOD_LANDMARKS, Row
from features.openface import AU_INTENSITIES
from pipeline.base.io import replacing

PANELS = ("found, %", "inner 51 points, %", "pose, degrees", "gaze, degrees", "AU correlation")
Scores = dict[tuple[str, float], dict[str, float]]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells beyond the first stand right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main_table(rows: list[Row]) -> str:
    """Quantity, measured, bar, met."""
    verdicts = {True: "yes", False: "NO", None: ""}
    cells = [[row.quantity, row.measured, row.bar, verdicts[row.met]] for row in rows]
    return markdown_table(["quantity", "measured", "bar", "met"], cells)


def disturbance_table(scores: Scores) -> str:
    """A line per disturbance and strength."""
    columns = [*PANELS, "mean confidence"]
    rows = []
    for (name, strength), values in scores.items():
        label = name if name == "none" else f"{name} {strength:g}"
        rows.append([label, *(f"{values[column]:.2f}" if column in values else "-" for column in columns)])
    return markdown_table(["disturbance", *columns], rows)


def cross_talk_table(matrix: np.ndarray) -> str:
    """The matrix, driven units in lines, with an exclamation mark at what is above the diagonal."""
    above = set(above_the_diagonal(matrix))
    rows = [
        [first, *(f"{matrix[i, j]:.1f}{'!' if (first, second) in above else ''}" for j, second in enumerate(AU_INTENSITIES))]
        for i, first in enumerate(AU_INTENSITIES)
    ]
    return markdown_table(["driven", *AU_INTENSITIES], rows)


def reliability_table(bins: np.ndarray) -> str:
    """Confidence against the share of frames with good landmarks, of the bins that hold frames."""
    edges = np.linspace(0, 1, len(bins) + 1)
    rows = [
        [f"{low:.1f}-{high:.1f}", f"{count:.0f}", f"{confidence:.3f}", f"{share:.3f}"]
        for low, high, (count, confidence, share) in zip(edges, edges[1:], bins, strict=False)
        if count
    ]
    good = f"inner points within {100 * GOOD_LANDMARKS:g} %"
    return markdown_table(["confidence", "frames", "mean confidence", f"share with {good}"], rows)


def draw(scores: Scores, bins: np.ndarray, error: float, path: Path) -> None:
    """Accuracy against each disturbance, and the reliability of the confidence, as one picture."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(14, 8), layout="constrained")
    names = list(dict.fromkeys(name for name, _ in scores if name != "none"))
    for panel, column in zip(axes.ravel(), PANELS, strict=False):
        for name in names:
            line = [scores["none", 0.0], *(values for (other, _), values in scores.items() if other == name)]
            panel.plot([values.get(column, np.nan) for values in line], marker="o", label=name.split(" (")[0])
        panel.set(title=column, xticks=range(5), xticklabels=["none", "mild", "", "", "harsh"], ylim=(0, None))
        panel.grid(alpha=0.3)
    axes[0, 0].legend()
    panel, filled = axes[1, 2], bins[:, 0] > 0
    panel.plot([0, 1], [0, 1], color="grey", linestyle=":")
    panel.plot(bins[filled, 1], bins[filled, 2], marker="o", color="black")
    for count, confidence, share in bins[filled]:
        panel.annotate(f"{count:.0f}", (confidence, share), textcoords="offset points", xytext=(-4, 6), ha="right", fontsize=8)
    title = f"reliability (frames); calibration error {error:.3f}"
    panel.set(title=title, xlabel="confidence", ylabel=f"share of frames within {100 * GOOD_LANDMARKS:g} %")
    panel.set(xlim=(0, 1.02), ylim=(-0.02, 1.05))
    panel.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)
    pyplot.close(figure)
