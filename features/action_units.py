"""Intensity and presence of facial action units, by the table action_units.yaml, from measures of a face.

`measures_of` every frame, `neutral_of` the measures of one person, and `action_units` of both.  How the face units that
the table speaks of are found is told in `features.face_units`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from features.face_units import load_face_units, measure_face
from features.openface import AU_INTENSITIES, AU_PRESENCES

TABLE = Path(__file__).with_name("action_units.yaml")
ENOUGH = 3000  # frames, evenly spread, that a median is taken of
BLOCK = 2000  # frames that are worked on at once, to save memory


@dataclass(frozen=True)
class ActionUnit:
    """A line of the table; the fields are explained in action_units.yaml."""

    name: str
    units: dict[str, float]
    full: float
    present: float


@cache
def load_table() -> dict[str, ActionUnit]:
    """The lines of the table by action unit, in the order of `AU_PRESENCES`."""
    table = {unit: ActionUnit(**line) for unit, line in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items()}
    return {unit: table[unit] for unit in AU_PRESENCES}


def driven(amplitudes: dict[str, np.ndarray]) -> np.ndarray:
    """How strongly each action unit is driven.

    Parameters
    ----------
    amplitudes : dict of face unit without side to np.ndarray [shape=(n,)], 0-1; those that are missing are 0

    Returns
    -------
    np.ndarray [shape=(n, 18)], 0-1, in the order of `AU_PRESENCES`
    """
    at_rest = np.zeros_like(next(iter(amplitudes.values())))
    sums = [
        sum(weight * amplitudes.get(unit, at_rest) for unit, weight in line.units.items()) for line in load_table().values()
    ]
    return np.clip(np.stack(sums, -1), 0, 1)


def measures_of(points: np.ndarray, blendshapes: dict[str, float], frame: np.ndarray) -> np.ndarray:
    """What the action units of one face are computed from.

    Parameters
    ----------
    points : np.ndarray [shape=(478, 3)], the mesh, pixels of the frame, z in the same scale
    blendshapes : dict of blendshape name to activation 0-1
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB

    Returns
    -------
    np.ndarray [shape=(m,), float32], m = `measure_count()`
    """
    return measure_face(points, blendshapes, frame, load_face_units().upright)


def measure_count() -> int:
    """How many measures a face has."""
    return len(load_face_units().neutral)


def neutral_of(measures: np.ndarray) -> np.ndarray:
    """The neutral face of a person: the median of their frames, as in OpenFace 2's dynamic models, with the jaw closed.

    Whoever speaks has an open mouth in more than half of the frames; so what the median holds of an open jaw, counted
    from the population's neutral face, is taken out of it.

    Parameters
    ----------
    measures : np.ndarray [shape=(n, m)], NaN where there is no face

    Returns
    -------
    np.ndarray [shape=(m,)], NaN if no frame has a face
    """
    seen = np.flatnonzero(~np.isnan(measures[:, 0]))
    if len(seen) == 0:
        return np.full(measures.shape[1], np.nan)
    some = seen[:: -(-len(seen) // ENOUGH)]
    model, median = load_face_units(), np.median(measures[some], 0).astype(np.float64)
    jaw = model.units.index("jawOpen")
    median[1:] -= model.amplitudes(median[None], None)[0, jaw] * model.responses[jaw]
    return median


def action_units(measures: np.ndarray, neutral: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Action units of n frames.

    Parameters
    ----------
    measures : np.ndarray [shape=(n, m)], NaN where there is no face
    neutral : np.ndarray [shape=(m,)], optional
        `neutral_of` the person; None, or NaN, for that of the population.

    Returns
    -------
    (np.ndarray [shape=(n, 17)], np.ndarray [shape=(n, 18)])
        Intensities 0-5 in the order of `AU_INTENSITIES`, presences 0 or 1 in the order of `AU_PRESENCES`; NaN where
        there is no face.
    """
    model, table = load_face_units(), load_table()
    intensity = np.full((len(measures), len(table)), np.nan)
    seen = np.flatnonzero(~np.isnan(measures[:, 0]))
    for block in np.split(seen, range(BLOCK, len(seen), BLOCK)):
        found = driven(dict(zip(model.units, model.amplitudes(measures[block], neutral).T, strict=True)))
        intensity[block] = np.clip(5 * found / [line.full for line in table.values()], 0, 5)
    presence = np.where(np.isnan(intensity), np.nan, intensity >= [line.present for line in table.values()])
    return intensity[:, [AU_PRESENCES.index(unit) for unit in AU_INTENSITIES]], presence
