"""Intensity and presence of facial action units by the rules of action_units.yaml.

A rule reads blendshapes or a length on the mesh.  MediaPipe's cheekSquint and noseSneer blendshapes stay at 0, so the
cheek raiser (AU06) and the nose wrinkler (AU09) are read from the mesh, and so are the lips' parting (AU25).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from features.openface import AU_INTENSITIES, AU_PRESENCES

RULES = Path(__file__).with_name("action_units.yaml")
OUTER_EYE_CORNERS = (33, 263)
RELAXED = 10.0  # percent of the frames of a clip that count as its neutral face


@dataclass(frozen=True)
class Rule:
    """How one action unit is read; the fields are explained in action_units.yaml."""

    name: str
    rest: float | Literal["clip"]
    change: float
    present: float
    blendshapes: tuple[str, ...] = ()
    distance: tuple[tuple[int, int], ...] = ()

    def value(self, points: np.ndarray, blendshapes: dict[str, float]) -> float:
        """What the rule reads from mesh points [shape=(478, 3)] and blendshapes."""
        if self.blendshapes:
            return float(np.mean([blendshapes[name] for name in self.blendshapes]))
        lengths = [np.linalg.norm(points[first] - points[second]) for first, second in self.distance]
        first, second = OUTER_EYE_CORNERS
        return float(np.mean(lengths) / np.linalg.norm(points[first] - points[second]))

    def intensity(self, values: np.ndarray) -> np.ndarray:
        """Intensities 0-5 of the values of the frames of a clip, both [shape=(n,)]; NaN stays NaN."""
        rest = relaxed(values, self.change) if self.rest == "clip" else self.rest
        return np.clip(5 * (values - rest) / self.change, 0, 5)

    def presence(self, intensity: np.ndarray) -> np.ndarray:
        """Presences 0 or 1 of the intensities of the frames of a clip, both [shape=(n,)]; NaN stays NaN."""
        present = intensity >= relaxed(intensity, 1) + self.present
        return np.where(np.isnan(intensity), np.nan, present)


def relaxed(values: np.ndarray, change: float) -> float:
    """Value of the most relaxed tenth of the frames of a clip: its low end if values grow with expression, else high.

    NaN if no frame has a face.
    """
    seen = values[~np.isnan(values)]
    return float(np.percentile(seen, RELAXED if change > 0 else 100 - RELAXED)) if len(seen) else np.nan


@cache
def load_rules() -> dict[str, Rule]:
    """The rules by action unit, AU01 to AU45."""
    return {unit: Rule(**fields) for unit, fields in yaml.safe_load(RULES.read_text(encoding="utf-8")).items()}


def rule_values(points: np.ndarray, blendshapes: dict[str, float]) -> np.ndarray:
    """What every rule reads from one face.

    Parameters
    ----------
    points : np.ndarray [shape=(478, 3)]
        The mesh, all three axes in one scale.
    blendshapes : dict of blendshape name to activation 0-1

    Returns
    -------
    np.ndarray [shape=(18,)], in the order of the rules
    """
    return np.array([rule.value(points, blendshapes) for rule in load_rules().values()])


def action_units(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Action units of a clip.

    Parameters
    ----------
    values : np.ndarray [shape=(n, 18)]
        `rule_values` of every frame, NaN where there is no face.

    Returns
    -------
    (np.ndarray [shape=(n, 17)], np.ndarray [shape=(n, 18)])
        Intensities 0-5 in the order of `AU_INTENSITIES`, presences 0 or 1 in the order of `AU_PRESENCES`; NaN where
        there is no face.
    """
    rules = load_rules()
    intensity = {unit: rule.intensity(values[:, i]) for i, (unit, rule) in enumerate(rules.items())}
    presence = [rules[unit].presence(intensity[unit]) for unit in AU_PRESENCES]
    return np.stack([intensity[unit] for unit in AU_INTENSITIES], 1), np.stack(presence, 1)
