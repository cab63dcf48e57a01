"""Intensity and presence of facial action units, by the table action_units.yaml, from measures of a face.

`measures_of` every frame, `neutral_of` the measures of one person, and `action_units` of both.  How the face units that
the table speaks of are found is told in `features.face_units`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from features.face_units import BASE_BLENDSHAPES, load_face_units, measure_face
from features.openface import AU_INTENSITIES, AU_PRESENCES

TABLE = Path(__file__).with_name("action_units.yaml")
ENOUGH = 3000  # frames, evenly spread, that a median is taken of
LEAST = 0.05  # share of the frames in which a person shows a face unit least
BLOCK = 2000  # frames that are worked on at once, to save memory


@dataclass(frozen=True)
class ActionUnit:
    """A line of the table; the fields are explained in action_units.yaml."""

    name: str
    units: dict[str, float]
    full: float
    present: float


@dataclass(frozen=True)
class Evidence:
    """What a blendshape of the mesh says of people: it lies between `lowest` and `highest` at rest, and is `full` at most.

    least : how far it must rise to tell something
    """

    lowest: float
    highest: float
    least: float
    full: float

    def rest(self, own: float | None) -> float:
        """Of a person whose median is `own`, or None."""
        return (self.lowest + self.highest) / 2 if own is None else min(max(own, self.lowest), self.highest)


# Quantiles .1 and .9 of people at rest under four lamps, with and without glasses, and medians of broad smiles
# (8 people): the activation of mouthSmile, and the logarithm of that of cheekSquint.
SMILE = Evidence(0.0, 0.2, 0.0, 0.95)
MORE = 2.0  # times what the fit finds can a smile of people be
CHEEKS = Evidence(-16.4, -14.9, 0.8, -13.2)


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
    return len(load_face_units().neutral) + 1


@cache
def smile_place() -> int:
    """Which measure is the activation of mouthSmile."""
    return 1 + 3 * len(load_face_units().upright.half) + BASE_BLENDSHAPES.index("mouthSmile")


def neutral_of(measures: np.ndarray) -> np.ndarray:
    """The neutral face of a person: the median of their frames, less the expression that it holds.

    OpenFace 2's dynamic models take the median, but whoever laughs or speaks through a scene shows an expression in more than
    half of the frames. So of each face unit that the median shows, counted from the population's neutral face, what goes
    beyond a face at rest is taken out: beyond what the person shows in the twentieth of the frames with least of it, and
    beyond what people's faces at rest seem to show.

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
    some = measures[seen[:: -(-len(seen) // ENOUGH)]].astype(np.float64)
    model, median = load_face_units(), np.median(some, 0)
    shown = model.amplitudes(np.concatenate([median[None], some]), None)
    least = np.quantile(shown[1:], LEAST, axis=0)
    expression = np.maximum(0, shown[0] - np.minimum(least, model.resting))
    median[1 : len(model.neutral)] -= expression @ model.responses
    return median


def with_evidence_of_the_mesh(
    amplitudes: dict[str, np.ndarray], measures: np.ndarray, neutral: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The amplitudes, those of smile and cheeks at least as large as the mesh's own blendshapes say.

    The fit was made on rendered heads. On people the mesh's network sees the smile itself, and that the cheeks are raised by
    it, better and without a person's neutral face.

    amplitudes : of n frames by face unit. measures : np.ndarray [shape=(n, m)]. neutral : np.ndarray [shape=(m,)] or None.
    """
    table, place = load_table(), smile_place()
    neutral = None if neutral is None or np.isnan(neutral).any() else neutral
    smile, cheeks = (
        (values - rest - evidence.least) / (evidence.full - rest - evidence.least)
        for evidence, values, rest in (
            (SMILE, measures[:, place], SMILE.rest(None if neutral is None else neutral[place])),
            (CHEEKS, measures[:, -1], CHEEKS.rest(None if neutral is None else neutral[-1])),
        )
    )
    fitted = amplitudes["mouthSmile"]
    smile = np.maximum(fitted, np.minimum(MORE * fitted, table["AU12"].full * np.clip(smile, 0, 1)))
    cheeks = table["AU06"].full * np.clip(np.minimum(cheeks, smile / table["AU12"].full), 0, 1)
    return amplitudes | {"mouthSmile": smile, "cheekSquint": np.maximum(amplitudes["cheekSquint"], cheeks)}


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
        amplitudes = dict(zip(model.units, model.amplitudes(measures[block], neutral).T, strict=True))
        found = driven(with_evidence_of_the_mesh(amplitudes, measures[block], neutral)) / [line.full for line in table.values()]
        intensity[block] = np.clip(5 * found, 0, 5)
    presence = np.where(np.isnan(intensity), np.nan, intensity >= [line.present for line in table.values()])
    return intensity[:, [AU_PRESENCES.index(unit) for unit in AU_INTENSITIES]], presence
