"""Intensity and presence of facial action units, by the table action_units.yaml, from measures of a face.

`measures_of` every frame, `neutral_of` the measures of one person, and `action_units` of both.  How the face units that
the table speaks of are found is told in `features.face_units`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from features.face_units import BASE_BLENDSHAPES, CHEEKS, DRAWN, load_face_units, measure_face
from features.openface import AU_INTENSITIES, AU_PRESENCES

TABLE = Path(__file__).with_name("action_units.yaml")
ENOUGH = 3000  # frames, evenly spread, that a median is taken of
BLOCK = 2000  # frames that are worked on at once, to save memory


@dataclass(frozen=True)
class Seen:
    """What shows an action unit on people: a blendshape or `lipsApart`, what that is at rest, and in full."""

    what: str
    rest: float
    full: float


@dataclass(frozen=True)
class ActionUnit:
    """A line of the table; the fields are explained in action_units.yaml."""

    name: str
    units: dict[str, float]
    full: float
    full_people: float
    present: float
    seen: Seen | None = None

    @classmethod
    def of(cls, seen: dict | None = None, **line: object) -> "ActionUnit":
        """A line as it stands in the file."""
        return cls(seen=Seen(**seen) if seen else None, **line)


BROAD = (0.5, 0.95)  # activations of mouthSmile in a smile, and in a broad one
# Logarithms of the activation of cheekSquint: quantiles .1 and .9 of people at rest under four lamps, with and without
# glasses; how far it must rise to tell something; and that of broad smiles (medians of 8 people).
CHEEKS_AT_REST, CHEEKS_LEAST, CHEEKS_RAISED = (-16.4, -14.9), 0.8, -13.2
INNER_LIPS = (13, 14)  # their middle, upper and lower, in the mesh
LEAST_RISE = 0.05  # from rest to fully seen
SEEN_PRESENT = 0.8  # intensity from which on an action unit that the mesh sees on people, too, is present
# Face units of expressions that last, and from which to which activation of a blendshape they count as shown: people at rest
# have less, .2 of browDown and mouthSmile, next to nothing of the others. An open jaw is never rest.
LASTING = {
    "jawOpen": ("jawOpen", -1.0, 0.0),
    "mouthSmile": ("mouthSmile", 0.5, 0.9),
    "cheekSquint": ("mouthSmile", 0.5, 0.9),
    "mouthUpperUp": ("mouthUpperUp", 0.1, 0.4),
    "mouthLowerDown": ("mouthLowerDown", 0.1, 0.4),
    "browDown": ("browDown", 0.3, 0.6),
}


@cache
def load_table() -> dict[str, ActionUnit]:
    """The lines of the table by action unit, in the order of `AU_PRESENCES`."""
    table = {unit: ActionUnit.of(**line) for unit, line in yaml.safe_load(TABLE.read_text(encoding="utf-8")).items()}
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
    return len(load_face_units().neutral) + 2


@cache
def place_of(blendshape: str) -> int:
    """Which measure is the activation of a blendshape."""
    return 1 + 3 * len(load_face_units().upright.half) + BASE_BLENDSHAPES.index(blendshape)


@cache
def heights_of(points: tuple[int, ...]) -> list[int]:
    """Which measures are the heights of points of the mesh, downwards."""
    return [2 + 3 * load_face_units().upright.half.index(point) for point in points]


def seen_of(measures: np.ndarray, what: str) -> np.ndarray:
    """What the mesh alone sees [shape=(...)]: the activation of a blendshape, or `lipsApart`, in distances of the eyes."""
    if what == "lipsApart":
        upper, lower = heights_of(INNER_LIPS)
        return measures[..., lower] - measures[..., upper]
    return measures[..., place_of(what)]


def seen_share(measures: np.ndarray, neutral: np.ndarray | None, seen: Seen) -> np.ndarray:
    """How far the mesh alone sees an action unit of people [shape=(n,)], 0-1.

    neutral : of the person, or None, as in `action_units`
    """
    own = neutral is not None and not np.isnan(neutral).any()
    rest = float(seen_of(neutral, seen.what)) if own else seen.rest
    return np.clip((seen_of(measures, seen.what) - rest) / max(seen.full - rest, LEAST_RISE), 0, 1)


def neutral_of(measures: np.ndarray) -> np.ndarray:
    """The neutral face of a person: the median of their frames, less the expression that it holds.

    OpenFace 2's dynamic models take the median. But who laughs or frowns through a scene, or speaks, shows that in more than
    half of the frames. So what the median shows of such face units, counted from the population's neutral face, is taken out
    of it as far as the mesh's own blendshapes see it too: a person may as well look so at rest, and theirs do not say so then.

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
    shown = dict(zip(model.units, model.amplitudes(median[None], None, bool(median[DRAWN] > 0.5))[0], strict=True))
    for unit, (blendshape, least, most) in LASTING.items():
        share = np.clip((median[place_of(blendshape)] - least) / (most - least), 0, 1)
        median[1 : len(model.neutral)] -= share * shown[unit] * model.responses[model.units.index(unit)]
    return median


def raised_cheeks(activation: np.ndarray, neutral: np.ndarray | None) -> np.ndarray:
    """How far the mesh sees the cheeks of people raised [shape=(n,)], 0-1, which the fit, made on rendered heads, does not.

    activation : np.ndarray [shape=(n,)], logarithms of that of cheekSquint. neutral : of the person, or None, as in
    `action_units`.
    """
    lowest, highest = CHEEKS_AT_REST
    rest = (lowest + highest) / 2 if neutral is None or np.isnan(neutral).any() else np.clip(neutral[CHEEKS], lowest, highest)
    return np.clip((activation - rest - CHEEKS_LEAST) / (CHEEKS_RAISED - rest - CHEEKS_LEAST), 0, 1)


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
    cheek, lip, smile = (AU_PRESENCES.index(unit) for unit in ("AU06", "AU10", "AU12"))
    intensity = np.full((len(measures), len(table)), np.nan)
    for drawn in (False, True):
        rows = np.flatnonzero(measures[:, DRAWN] == drawn)
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            amplitudes = dict(zip(model.units, model.amplitudes(measures[block], neutral, drawn).T, strict=True))
            full = np.array([line.full if drawn else line.full_people for line in table.values()])
            found = driven(amplitudes) / full
            # A broad smile shows the upper teeth; of people the mesh's network sees how broad it is better than the fit.
            broad = np.clip((measures[block, place_of("mouthSmile")] - BROAD[0]) / (BROAD[1] - BROAD[0]), 0, 1)
            broad = np.maximum(amplitudes["mouthSmile"], full[smile] * broad)
            found[:, lip] = driven(amplitudes | {"mouthSmile": broad})[:, lip] / full[lip]
            # Cheeks that the mesh sees raised count as far as the person smiles: without a smile it tells nothing.
            cheeks = np.minimum(raised_cheeks(measures[block, CHEEKS], neutral), found[:, smile])
            found[:, cheek] = np.maximum(found[:, cheek], cheeks)
            # The fit knows rendered heads alone, the mesh's network people: of these both count alike.
            for i, line in enumerate(table.values()):
                if line.seen and not drawn:
                    found[:, i] = (found[:, i].clip(0, 1) + seen_share(measures[block], neutral, line.seen)) / 2
            intensity[block] = np.clip(5 * found, 0, 5)
    least = np.array([[SEEN_PRESENT if line.seen else line.present, line.present] for line in table.values()]).T
    least = least[(measures[:, DRAWN] == 1).astype(int)]
    presence = np.where(np.isnan(intensity), np.nan, intensity >= least)
    return intensity[:, [AU_PRESENCES.index(unit) for unit in AU_INTENSITIES]], presence
