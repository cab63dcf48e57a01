"""How a speaker's face and head move: amplitudes of the face units, head pose and gaze for every frame of a video.

The lips follow the phonemes, the expression follows the plan of the clip; head, gaze, blinks and small twitches of the
face wander independently of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.mesh import unit_names
from demo.plan import LEAD, ClipPlan
from demo.speech import SAMPLE_RATE, Phoneme

FRAME_RATE = 30
_SHORT_PAUSE = 0.1  # seconds; the mouth stays open between the syllables of a phrase
_FINE = 4  # lips are drawn on a grid this much finer than the frames, so that short closures are not lost

# Face units of a lip shape; a name without Left or Right means both sides. Behind closed lips the jaw stays a little
# lowered: `lip_curves` closes the mouth.
VISEMES = {
    "rest": {},
    "between": {"jawOpen": 0.15},
    "closed": {"jawOpen": 0.3, "mouthPress": 0.3, "mouthRollUpper": 0.15, "mouthRollLower": 0.15},
    "lip_teeth": {"jawOpen": 0.2, "mouthRollLower": 0.5, "mouthUpperUp": 0.2},
    "tongue": {"jawOpen": 0.16, "mouthStretch": 0.1},
    "back": {"jawOpen": 0.2},
    "palatal": {"jawOpen": 0.08, "mouthStretch": 0.35, "mouthUpperUp": 0.1},
    "retroflex": {"jawOpen": 0.08, "mouthFunnel": 0.5},
    "sibilant": {"jawOpen": 0.06, "mouthStretch": 0.4, "mouthLowerDown": 0.15},
    "a": {"jawOpen": 0.75, "mouthLowerDown": 0.2},
    "e": {"jawOpen": 0.35, "mouthStretch": 0.15},
    "eh": {"jawOpen": 0.3, "mouthStretch": 0.35},
    "er": {"jawOpen": 0.25, "mouthFunnel": 0.25},
    "i": {"jawOpen": 0.1, "mouthStretch": 0.55},
    "o": {"jawOpen": 0.4, "mouthFunnel": 0.6, "mouthPucker": 0.25},
    "u": {"jawOpen": 0.12, "mouthPucker": 1.0, "mouthFunnel": 0.2},
    "y": {"jawOpen": 0.08, "mouthPucker": 0.9},
}

# espeak-ng's phoneme names for Mandarin. Whole names first; other vowels are spelt letter by letter ('iou' = i, o, u).
_PHONEMES = {
    "": "rest",
    **dict.fromkeys(("p", "ph", "m"), "closed"),
    "f": "lip_teeth",
    **dict.fromkeys(("t", "th", "n", "l"), "tongue"),
    **dict.fromkeys(("k", "kh", "X", "N"), "back"),
    **dict.fromkeys(("tS;", "tS;h", "S;", "j"), "palatal"),
    **dict.fromkeys(("ts.", "ts.h", "s.", "z.", "i."), "retroflex"),
    **dict.fromkeys(("ts", "tsh", "s", "i["), "sibilant"),
    "o-": "e",
    "w": "u",
}
_LETTERS = {
    "A": "a",
    "a": "a",
    "&": "a",
    "@": "e",
    "e": "eh",
    "E": "eh",
    "i": "i",
    "o": "o",
    "u": "u",
    "y": "y",
    "r": "er",
    "n": "back",
    "g": "back",
}

_CENTRAL = {"jawOpen", "mouthFunnel", "mouthPucker", "mouthRollUpper", "mouthRollLower"}
_TWITCHES = ("mouthSmile", "mouthFrown", "browOuterUp", "browDown", "cheekSquint", "eyeSquint", "noseSneer", "mouthPress")


@dataclass(frozen=True)
class Animation:
    """Curves over the frames of a video.

    units [n, 52] amplitudes 0..1 in the order of `unit_names()`; pose [n, 3] (yaw, pitch, roll) and gaze [n, 2]
    (yaw, pitch) in radians; offset [n, 3] in millimetres, as `demo.head.Head.frame` takes them.
    """

    units: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    offset: np.ndarray


def animate(clips: list[ClipPlan], speech: list[tuple[np.ndarray, list[Phoneme]]], frames: int) -> Animation:
    """Animate one video.

    Parameters
    ----------
    clips : list of ClipPlan
        The clips of the video, in order.
    speech : list of (samples, phonemes)
        What `speak` gave for each clip.
    frames : int
        Length of the video at 30 Hz.
    """
    random = np.random.default_rng([clips[0].speaker.seed, 5])
    names = unit_names()
    face = {name: np.zeros(frames) for name in names}
    _add_idle_face(face, frames, random)
    for unit, amplitude in clips[0].speaker.bearing.items():
        for name in sides(unit):
            face[name] += amplitude
    for clip in clips:
        _add_expression(face, clip, frames)
    lips = {name: np.zeros(frames) for name in names}
    for clip, (samples, phonemes) in zip(clips, speech, strict=True):
        start = round((clip.start + LEAD) * FRAME_RATE)
        for name, curve in lip_curves(phonemes, samples).items():
            lips[name][start : start + len(curve)] += curve[: frames - start]
    # A rounded mouth can neither smile nor frown as broadly.
    for unit in ("mouthSmile", "mouthFrown"):
        for name in sides(unit):
            face[name] *= 1 - 0.5 * np.minimum(lips["mouthPucker"] + lips["mouthFunnel"], 1)
    units = np.stack([face[name] + lips[name] for name in names], axis=1)
    pose = np.stack([_spread(_wander(frames, 1.3, reach, random)) for reach in np.deg2rad([20, 12, 12])], axis=1)
    offset = np.stack([_wander(frames, 1.5, reach, random) for reach in (10, 6, 15)], axis=1)
    return Animation(np.clip(units, 0, 1), pose, _gaze(pose, frames, random), offset)


def phoneme_visemes(name: str) -> list[str]:
    """The lip shapes of a phoneme, one after the other.

    Raises
    ------
    ValueError
        If it is not a phoneme of espeak-ng's Mandarin.
    """
    if name in _PHONEMES:
        return [_PHONEMES[name]]
    if not set(name) <= set(_LETTERS):
        raise ValueError(f"no lip shape for the phoneme '{name}': add it to demo/animation.py")
    return [_LETTERS[letter] for letter in name]


def lip_curves(phonemes: list[Phoneme], samples: np.ndarray) -> dict[str, np.ndarray]:
    """Amplitudes of the mouth's face units for one sentence, per frame from its first sound.

    Neighbouring shapes flow into each other (rounding spreads furthest, the jaw less); closed lips win over an open jaw.
    The loudness of the moment opens the jaw by at most a third more.
    """
    rate = FRAME_RATE * _FINE
    count = int(np.ceil((phonemes[-1].end + 0.2) * FRAME_RATE)) * _FINE
    units = sorted({unit for shape in VISEMES.values() for unit in shape})
    targets = {unit: np.zeros(count) for unit in units}
    closure = np.zeros(count)
    for phoneme in phonemes:
        shapes = phoneme_visemes(phoneme.name)
        if not phoneme.name and phoneme.end - phoneme.start < _SHORT_PAUSE:
            shapes = ["between"]
        edges = np.linspace(phoneme.start, phoneme.end, len(shapes) + 1)
        if shapes == ["closed"] or shapes == ["lip_teeth"]:
            # Lips meet before the burst is heard, and for at least two frames.
            middle = (phoneme.start + phoneme.end) / 2 - 0.01
            half = max(phoneme.end - phoneme.start, 0.07) / 2
            closure[max(round((middle - half) * rate), 0) : round((middle + half) * rate)] = 1
        for shape, start, end in zip(shapes, edges[:-1], edges[1:], strict=True):
            for unit, amplitude in VISEMES[shape].items():
                targets[unit][round(start * rate) : round(end * rate)] = amplitude
    closure = _smooth(closure, 0.05 * rate)
    effort = 0.75 + 0.25 * _loudness(samples, count, rate)
    curves = {}
    for unit, target in targets.items():
        width = 0.16 if unit in ("mouthPucker", "mouthFunnel", "mouthStretch") else 0.1
        curve = _smooth(target, width * rate)
        if unit == "jawOpen":
            curve *= effort
        if unit in ("jawOpen", "mouthLowerDown", "mouthFunnel"):
            curve *= 1 - closure
        for name in sides(unit):
            curves[name] = curve[_FINE // 2 :: _FINE]
    return curves


def sides(unit: str) -> list[str]:
    """The face units meant by a name without side."""
    return [unit] if unit in _CENTRAL else [unit + "Left", unit + "Right"]


def _loudness(samples: np.ndarray, count: int, rate: int) -> np.ndarray:
    """Root mean square around each point of the fine grid, 0..1 relative to the loud parts of the sentence."""
    positions = (np.arange(count) * SAMPLE_RATE / rate).astype(int)
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    low = np.clip(positions - SAMPLE_RATE // 40, 0, len(samples))
    high = np.clip(positions + SAMPLE_RATE // 40, 0, len(samples))
    loudness = np.sqrt((power[high] - power[low]) / (SAMPLE_RATE // 20))
    return np.clip(loudness / np.percentile(loudness[positions < len(samples)], 90), 0, 1)


def _add_expression(face: dict[str, np.ndarray], clip: ClipPlan, frames: int) -> None:
    """Let the clip's expression rise, stay and fade."""
    seconds = (np.arange(frames) + 0.5) / FRAME_RATE
    length = clip.end - clip.start
    rise = _step((seconds - (clip.start + clip.onset * length)) / 0.35)
    fade = _step(((clip.end + 0.15 - clip.offset * length) - seconds) / 0.35)
    for unit, amplitude in clip.expression.items():
        face[unit] += amplitude * np.minimum(rise, fade)


def _add_idle_face(face: dict[str, np.ndarray], frames: int, random: np.random.Generator) -> None:
    """A resting face of its own, twitches that mean nothing, and blinks."""
    for unit in _TWITCHES:
        resting = random.uniform(0, 0.1)
        drift = np.abs(_wander(frames, 1.0, 0.12, random))
        for name in sides(unit):
            face[name] += resting + drift
    for _ in range(random.poisson(0.4 * frames / FRAME_RATE)):
        unit = _TWITCHES[random.integers(len(_TWITCHES))]
        bump = random.uniform(0.15, 0.4) * np.hanning(random.integers(12, 36))
        start = random.integers(frames)
        for name in sides(unit):
            face[name][start : start + len(bump)] += bump[: frames - start]
    blink = np.array([0.4, 1.0, 1.0, 0.75, 0.4, 0.15])
    for start in np.cumsum(0.6 + random.exponential(2.4, frames)) * FRAME_RATE:
        if start < frames - len(blink):
            for name in sides("eyeBlink"):
                face[name][int(start) : int(start) + len(blink)] = blink


def _gaze(pose: np.ndarray, frames: int, random: np.random.Generator) -> np.ndarray:
    """Gaze in the head, [n, 2]: jumps between points, slow drift, and half of the head's turn taken back."""
    fixation = np.empty((frames, 2))
    start = 0
    while start < frames:
        length = int(FRAME_RATE * (0.3 + random.exponential(0.9)))
        fixation[start : start + length] = random.uniform(-1, 1, 2) * np.deg2rad([12, 7])
        start += length
    drift = np.stack([_wander(frames, 1.0, np.deg2rad(5), random) for _ in range(2)], axis=1)
    return np.clip(fixation + drift - 0.5 * pose[:, :2], -np.deg2rad([18, 12]), np.deg2rad([18, 12]))


def _wander(frames: int, period: float, reach: float, random: np.random.Generator) -> np.ndarray:
    """Smooth noise [n] around 0 whose largest excursion is `reach`; `period` in seconds sets how slowly it moves."""
    half = round(period * FRAME_RATE)
    noise = np.convolve(random.standard_normal(frames + 2 * half), np.hanning(2 * half + 1), mode="valid")
    return noise / np.abs(noise).max() * reach


def _spread(curve: np.ndarray) -> np.ndarray:
    """A curve with the same largest excursion that uses its whole range, where noise keeps near the middle."""
    flat = np.tanh(0.7 * curve / curve.std())
    return flat / np.abs(flat).max() * np.abs(curve).max()


def _smooth(curve: np.ndarray, width: float) -> np.ndarray:
    window = np.hanning(round(width) + 2)
    return np.convolve(curve, window / window.sum(), mode="same")


def _step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
