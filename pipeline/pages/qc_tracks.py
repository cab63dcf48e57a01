"""What was measured on a clip over time, as the quality page draws it: panels of lines, and one of action units.

A panel is a dict: `title`, `unit`, `rate` (Hz), `series` (name -> values, null where undefined), `span` (the least range of
the axis, so that a steady value does not look restless), `range` (a fixed range, or null), `kind` ('lines' or 'rows').
"""

from pathlib import Path

import numpy as np

from features.audio import FRAME_RATE, HOP_LENGTH
from features.openface import AU_INTENSITIES
from pipeline.base.store import ClipFeatures, StoreAttributes
from pipeline.sources.clip_table import read_wav

ENERGY_WINDOW = 2048  # samples
LOWEST_ENERGY = -90.0  # dB of full scale, about the noise of 16 bits


def energy(samples: np.ndarray) -> np.ndarray:
    """Root mean square around every 512th sample, dB of full scale; `samples` [shape=(n,)], result [shape=(1 + n // 512,)]."""
    padded = np.pad(samples.astype(float) ** 2, ENERGY_WINDOW // 2)
    sums = np.concatenate([[0], np.cumsum(padded)])
    starts = np.arange(0, len(samples) + 1, HOP_LENGTH)
    mean = (sums[starts + ENERGY_WINDOW] - sums[starts]) / ENERGY_WINDOW
    return 10 * np.log10(np.maximum(mean, 10 ** (LOWEST_ENERGY / 10)))


def f0_of(clip: ClipFeatures, attributes: StoreAttributes) -> np.ndarray:
    """Fundamental frequency of the frames of a clip, Hz; NaN where unvoiced, and everywhere if the columns lack it."""
    if "log_f0" not in attributes.columns:
        return np.full(len(clip.values), np.nan)
    values = clip.values[:, attributes.columns.index("log_f0")].astype(float)
    return np.where(values > 0, np.exp(values), np.nan)


def audio_panels(clip: ClipFeatures, attributes: StoreAttributes, wav: Path | None) -> list[dict]:
    """F0 of the audio features and energy of the sound, as far as there are such."""
    panels = [panel("Fundamental frequency", "Hz", FRAME_RATE, {"F0": f0_of(clip, attributes)}, 60, 0)]
    if wav:
        panels.append(panel("Energy", "dB of full scale", FRAME_RATE, {"energy": energy(read_wav(wav))}, 30, 1))
    return [one for one in panels if has_values(one)]


def vision_panels(clip: ClipFeatures, attributes: StoreAttributes) -> list[dict]:
    """Confidence, head pose, gaze and action units, as far as there are such."""
    if len(clip.values) == 0:
        return []
    rate, values = attributes.frame_rate, clip.values.astype(float)

    def column(name: str) -> np.ndarray:
        return values[:, attributes.columns.index(name)]

    def angle(name: str) -> np.ndarray:
        return np.degrees(column(name))

    def moved(name: str) -> np.ndarray:
        seen = column(name)[np.isfinite(column(name))]
        return column(name) - (np.median(seen) if len(seen) else np.nan)

    rotation = {"pitch": angle("pose_Rx"), "yaw": angle("pose_Ry"), "roll": angle("pose_Rz")}
    position = {"x, right": moved("pose_Tx"), "y, down": moved("pose_Ty"), "z, away": moved("pose_Tz")}
    gaze = {"sideways": angle("gaze_angle_x"), "down": angle("gaze_angle_y")}
    units = {name: column(f"{name}_r") for name in AU_INTENSITIES}
    panels = [
        panel("Confidence", "0 to 1", rate, {"confidence": clip.extras["confidence"]}, 1, 2, limits=[0, 1]),
        panel("Head rotation", "degrees", rate, rotation, 20, 1),
        panel("Head position", "mm from the median", rate, position, 40, 0),
        panel("Gaze", "degrees", rate, gaze, 20, 1),
        panel("Action units", "intensity", rate, units, 5, 1, limits=[0, 5], kind="rows"),
    ]
    return [one for one in panels if has_values(one)]


def panel(
    title: str,
    unit: str,
    rate: float,
    series: dict[str, np.ndarray],
    span: float,
    decimals: int,
    *,
    limits: list[float] | None = None,
    kind: str = "lines",
) -> dict:
    """One panel; see the module docstring. Values are rounded to `decimals`."""
    lists = {name: rounded(values, decimals) for name, values in series.items()}
    return {"title": title, "unit": unit, "rate": rate, "series": lists, "span": span, "range": limits, "kind": kind}


def rounded(values: np.ndarray, decimals: int) -> list[float | None]:
    """Numbers for JSON: rounded, None where not finite, without a fraction if `decimals` is 0."""
    numbers = np.round(np.asarray(values, float), decimals) + 0.0  # no minus zero
    return [None if not np.isfinite(number) else int(number) if decimals == 0 else float(number) for number in numbers]


def has_values(one: dict) -> bool:
    """Whether a panel has anything to draw."""
    return any(value is not None for values in one["series"].values() for value in values)


def spans(flags: np.ndarray, rate: float) -> list[list[float]]:
    """Where `flags` [shape=(n,), bool] are set, as spans of seconds [start, end]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [[round(float(start) / rate, 3), round(float(end) / rate, 3)] for start, end in edges.reshape(-1, 2)]
