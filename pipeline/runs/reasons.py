"""Reasons for a prediction: what changes when a modality, a word or a moment of voice or face is not there.

What is left out is replaced as it is for a clip that lacks it (pipeline/predictions.py): a text by the two tokens of an empty
one, sound and face by the mean of the train split; a word is taken out of the text, which is encoded anew; a moment is as a
moment in which nothing was measured. A value says what was there did: positive moved the prediction up.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from features.text import TokenVectors
from models.system import MODALITIES
from pipeline.base.store import ClipFeatures

Features = dict[str, ClipFeatures]
Predict = Callable[[list[Features]], np.ndarray]  # clips -> one number each, the mean over the seeds
Encode = Callable[[list[str]], list[TokenVectors]]

SHORTEST_MOMENT = 0.5  # s
MOST_MOMENTS = 40  # of a clip; of a longer one each is longer
MOST_WORDS = 60  # of a text; of a longer one neighbours are taken together
LETTERS = re.compile(r"[A-Za-z0-9'\u00c0-\u024f]")  # of words that are written with spaces between them


@dataclass(frozen=True)
class Reasons:
    """Why a clip was predicted as it was.

    prediction : of task M. baseline : without text, sound and face. left_out, shapley : {modality: change}. words : (first
    character, the one after its last, change) of each. moments : {'audio', 'vision': [shape=(n,)]}, changes by equal parts of
    the clip, each `moment` s long; empty where there is nothing.
    """

    prediction: float
    baseline: float
    left_out: dict[str, float]
    shapley: dict[str, float]
    words: list[tuple[int, int, float]]
    moments: dict[str, np.ndarray]
    moment: float


def shapley_values(value: dict[frozenset[str], float], players: Sequence[str] = MODALITIES) -> dict[str, float]:
    """Exact Shapley values (Shapley 1953): the mean contribution of each player over all orders in which they come.

    value : of each coalition. The values sum to that of all players less that of none.
    """
    count = len(players)
    found = {}
    for player in players:
        others = [other for other in players if other != player]
        found[player] = sum(
            math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            * (value[frozenset({*group, player})] - value[frozenset(group)])
            for size in range(count)
            for group in combinations(others, size)
        )  # fmt: skip
    return found


def only(clip: Features, there: frozenset[str], empty_text: ClipFeatures) -> Features:
    """A clip with some of its modalities."""
    gone = {name: ClipFeatures(clip[name].values[:0]) for name in ("audio", "vision")} | {"text": empty_text}
    return {name: clip[name] if name in there else gone[name] for name in MODALITIES}


def words_of(text: str, offsets: np.ndarray) -> list[tuple[int, int]]:
    """First character of each word and the one after its last: the encoder's tokens, of words with letters whole ones.

    offsets : [shape=(tokens, 2)] of the tokens in `text`.
    """
    words: list[tuple[int, int]] = []
    for start, end in offsets.tolist():
        while start < end and text[start].isspace():
            start += 1
        if start == end:
            continue
        joined = words and words[-1][1] >= start and LETTERS.match(text[start]) and LETTERS.match(text[start - 1])
        if joined or (words and words[-1][1] > start):
            words[-1] = words[-1][0], max(end, words[-1][1])
        else:
            words.append((start, end))
    if len(words) > MOST_WORDS:
        words = [(part[0][0], part[-1][1]) for part in (words[i] for i in _parts(len(words), MOST_WORDS)) if part]
    return words


def _parts(count: int, most: int) -> list[slice]:
    edges = np.linspace(0, count, min(count, most) + 1).round().astype(int)
    return [slice(start, end) for start, end in zip(edges[:-1], edges[1:], strict=True)]


def without_moments(clip: Features, modality: str, parts: int) -> list[Features]:
    """The clip as often as it has parts, each time without the frames of one of them."""
    values = clip[modality].values
    found = []
    for part in np.array_split(np.arange(len(values)), parts):
        changed = values.copy()
        changed[part] = np.nan
        found.append({**clip, modality: replace(clip[modality], values=changed)})
    return found


def reasons_of(clip: Features, text: str, seconds: float, predict: Predict, encode: Encode) -> Reasons:
    """Reasons for the prediction of a clip.

    Parameters
    ----------
    clip : dict
        Features of each modality.
    text : str
        What is said in it.
    seconds : float
        Its length.
    predict : callable
    encode : callable
        The text encoder.

    Returns
    -------
    Reasons
    """
    text = text.strip()
    groups = [frozenset(group) for size in range(4) for group in combinations(MODALITIES, size)]
    empty, *rest = map(_text_features, encode(["", text]))
    words = words_of(text, rest[0].extras["offsets"]) if text else []
    shorter = map(_text_features, encode([text[:start] + text[end:] for start, end in words]))
    parts = max(1, min(MOST_MOMENTS, round(seconds / SHORTEST_MOMENT)))
    variants = [only(clip, group, empty) for group in groups]
    variants += [{**clip, "text": features} for features in shorter]
    timed = [name for name in ("audio", "vision") if np.isfinite(clip[name].values).any()]
    for name in timed:
        variants += without_moments(clip, name, parts)
    values = predict(variants).astype(np.float64)
    value = dict(zip(groups, values[: len(groups)].tolist(), strict=True))
    everything = frozenset(MODALITIES)
    changes = value[everything] - values[len(groups) :]
    of_words, of_moments = changes[: len(words)], changes[len(words) :].reshape(len(timed), parts)
    return Reasons(
        prediction=value[everything],
        baseline=value[frozenset()],
        left_out={name: value[everything] - value[everything - {name}] for name in MODALITIES},
        shapley=shapley_values(value),
        words=[(*word, float(change)) for word, change in zip(words, of_words, strict=True)],
        moments=dict(zip(timed, of_moments, strict=True)),
        moment=seconds / parts,
    )


def _text_features(vectors: TokenVectors) -> ClipFeatures:
    return ClipFeatures(vectors.values, {"token_ids": vectors.ids, "offsets": vectors.offsets})
