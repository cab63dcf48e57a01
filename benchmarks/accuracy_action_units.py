"""Action units against the face units that drive the rendered heads."""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks.accuracy_clips import Clip
from benchmarks.accuracy_scores import EXPRESSIVE, Row, at_least
from demo.mesh import unit_names
from features.action_units import driven, load_table
from features.face_units import base_name
from features.openface import AU_INTENSITIES, AU_PRESENCES

ASKED = tuple(unit for unit in AU_INTENSITIES if unit not in ("AU14", "AU23"))
CORRELATION, F1 = 0.75, 0.8  # bars
DRIVEN = 0.3  # amplitude from which on a unit counts as present


def drivers(action_unit: str) -> list[str]:
    """Face units, without sides, that drive an action unit fully."""
    return [name for name, weight in load_table()[action_unit].units.items() if weight >= 1]


def strengths(clip: Clip) -> np.ndarray:
    """How strongly each of `AU_PRESENCES` is driven [n, 18], 0-1: by the table of the action units, mean of both sides."""
    base = np.array([base_name(name) for name in unit_names()])
    return driven({name: clip.units[:, base == name].mean(1) for name in np.unique(base)})


def correlations(clip: Clip, intensities: np.ndarray | None = None) -> np.ndarray:
    """Pearson's r of the intensities [17] with what drives them; NaN where one of them does not vary.

    intensities : [n, 17], in the place of the clip's own
    """
    intensities = clip.block("AU_r") if intensities is None else intensities
    amounts = strengths(clip)[:, [AU_PRESENCES.index(unit) for unit in AU_INTENSITIES]]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        pairs = zip(intensities.T, amounts.T, strict=True)
        return np.array([np.corrcoef(measured, amount)[0, 1] for measured, amount in pairs])


def f1(present: np.ndarray, true: np.ndarray) -> float:
    """F1 of boolean arrays [n]; 0 where nothing true is found."""
    return float(2 * (present & true).sum() / max(present.sum() + true.sum(), 1))


def action_unit_table(whole: Clip) -> list[list[str]]:
    """Rows: action unit, what drives it, correlation, F1, whether both meet their bars, correlation without baseline."""
    clip = whole.where(whole.success & np.isin(whole.part, EXPRESSIVE))
    related = dict(zip(AU_INTENSITIES, correlations(clip), strict=True))
    plain = dict(zip(AU_INTENSITIES, correlations(clip, clip.intensities), strict=True))
    present = strengths(clip) >= DRIVEN
    rows = []
    for i, unit in enumerate(AU_PRESENCES):
        r, score = related.get(unit, np.nan), f1(clip.block("AU_c")[:, i] == 1, present[:, i])
        met = ("yes" if r >= CORRELATION and score >= F1 else "NO") if unit in ASKED else "not asked"
        shown = [f"{values[unit]:.2f}" if unit in values else "-" for values in (related, plain)]
        by = [name if weight == 1 else f"{weight:+g} {name}" for name, weight in load_table()[unit].units.items()]
        rows.append([unit, ", ".join(by), shown[0], f"{score:.2f}", met, shown[1]])
    return rows


def cross_talk(whole: Clip) -> np.ndarray:
    """Mean change of each intensity [17, 17] (columns) where what drives one fully (rows) goes from 0 to 1."""
    clip = whole.where(whole.success & (whole.part == "units"))
    amplitude = clip.units.max(1)
    rows = []
    for unit in AU_INTENSITIES:
        swept = np.isin(clip.driven, drivers(unit))
        full, rest = (clip.block("AU_r")[swept & (np.abs(amplitude - end) < 1e-3)].mean(0) for end in (1, 0))
        rows.append(full - rest)
    return np.array(rows)


def above_the_diagonal(matrix: np.ndarray) -> list[tuple[str, str]]:
    """Pairs (driven, measured) of action units of which the measured one changes more than the driven one.

    Two that a common face unit drives (jaw drop and the parting of the lips) are no such pair.
    """
    return [
        (first, second)
        for i, first in enumerate(AU_INTENSITIES)
        for j, second in enumerate(AU_INTENSITIES)
        if not set(drivers(first)) & set(drivers(second)) and matrix[i, j] > matrix[i, i]
    ]


def action_unit_rows(whole: Clip) -> list[Row]:
    """The lines of the main table about action units."""
    table = {row[0]: row for row in action_unit_table(whole) if row[0] in ASKED}
    lowest = {place: min(table, key=lambda unit: float(table[unit][place])) for place in (2, 3)}
    below = {
        place: [unit for unit in table if not float(table[unit][place]) >= bar] for place, bar in ((2, CORRELATION), (3, F1))
    }
    rows = [
        at_least(
            name, float(table[lowest[place]][place]), bar, more=f"({lowest[place]}; below: {', '.join(below[place]) or 'none'})"
        )
        for name, place, bar in (
            ("AU intensity, correlation, lowest of 15", 2, CORRELATION),
            ("AU presence, F1, lowest of 15", 3, F1),
        )
    ]
    pairs = [f"{second} at {first}" for first, second in above_the_diagonal(cross_talk(whole)) if first in ASKED]
    return [
        *rows,
        Row("AU cross-talk above the diagonal", f"{len(pairs)}{': ' + ', '.join(pairs) if pairs else ''}", "none", not pairs),
    ]
