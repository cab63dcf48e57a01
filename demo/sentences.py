"""Mandarin sentences with a wanted sentiment, composed from demo/lexicon.yaml.

A sentence is a pattern whose slots are filled with clauses; its sentiment follows from the words by rule (degree words
strengthen, negations turn and weaken, of a contrast the second half counts more), so that no single word gives it away.
Words and patterns at the end of each list appear only outside the training split.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import yaml

MIN_LENGTH, MAX_LENGTH = 7, 18  # characters
_TOLERANCE = 0.06
_ATTEMPTS = 3000


def compose_sentence(sentiment: float, training: bool, rng: np.random.Generator, used: set[str]) -> str:
    """Compose a sentence whose sentiment is near `sentiment` and which is not in `used`.

    Parameters
    ----------
    sentiment : float
        In [-1, 1].
    training : bool
        Take only the words and patterns allowed in the training split.
    used : set of str
        Sentences taken already; the new one is added.

    Raises
    ------
    RuntimeError
        If the lexicon has no such sentence left.
    """
    lexicon = _lexicon(training)
    for _ in range(_ATTEMPTS):
        text, value = _fill_pattern(lexicon, rng)
        if text not in used and MIN_LENGTH <= len(text) <= MAX_LENGTH and abs(value - sentiment) <= _TOLERANCE:
            used.add(text)
            return text
    raise RuntimeError(f"no unused sentence of sentiment {sentiment:.2f} found: add words or patterns to demo/lexicon.yaml")


@cache
def _lexicon(training: bool) -> dict:
    lexicon = yaml.safe_load(Path(__file__).with_name("lexicon.yaml").read_text(encoding="utf-8"))
    return _allowed(lexicon) if training else lexicon


def _allowed(entry: object) -> object:
    """The part of a lexicon entry the training split may use: the first three quarters of every list of words.

    A pair or triple that belongs together (a pattern and its weights, a degree and its factor) is one word.
    """
    if isinstance(entry, dict):
        if all(isinstance(value, int | float) for value in entry.values()):
            return dict(list(entry.items())[: _kept(len(entry))])
        return {key: _allowed(value) for key, value in entry.items()}
    return entry[: _kept(len(entry))]


def _kept(count: int) -> int:
    return -(-3 * count // 4)


def _pick(options, rng: np.random.Generator):
    options = list(options.items()) if isinstance(options, dict) else options
    return options[rng.integers(len(options))]


def _fill_pattern(lexicon: dict, rng: np.random.Generator) -> tuple[str, float]:
    """A random sentence and its sentiment."""
    pattern, weights = _pick(lexicon["patterns"], rng)
    value = weights.get("constant", 0.0)

    def fill(match: re.Match) -> str:
        nonlocal value
        slot = match.group(1)
        text, sentiment = _fill_slot(slot, lexicon, rng)
        value += weights.get(slot, 0.0) * sentiment
        return text

    text = re.sub(r"\{(\w+)\}", fill, pattern)
    return text, float(np.clip(value, -1, 1))


def _fill_slot(slot: str, lexicon: dict, rng: np.random.Generator) -> tuple[str, float]:
    """The text of a slot and its sentiment; a slot named good_ or bad_ has that sign."""
    if slot in ("fact", "opener", "request"):
        return _pick(lexicon[slot + "s"], rng), 0.0
    kind = slot.removeprefix("good_").removeprefix("bad_")
    while True:
        if kind == "quality":
            topic = lexicon["topics"][_pick(list(lexicon["topics"]), rng)]
            text, value = _modified(topic["subjects"], topic["adjectives"], lexicon, rng)
        elif kind == "feeling":
            text, value = _modified(lexicon["feelings"]["people"], lexicon["feelings"]["words"], lexicon, rng)
        else:
            text, value = _pick(lexicon[kind + "s"], rng)
        if not (slot.startswith("good_") and value < 0) and not (slot.startswith("bad_") and value > 0):
            return text, value


def _modified(subjects: list, words: dict, lexicon: dict, rng: np.random.Generator) -> tuple[str, float]:
    """Subject, degree or negation, and adjective: for instance 这部电影 + 一点也不{} + 无聊."""
    word, value = _pick(words, rng)
    modifiers = lexicon["negations"] if rng.random() < 0.25 else lexicon["degrees"]
    suited = [modifier for modifier in modifiers if modifier[2] in ("any", "good" if value > 0 else "bad")]
    form, factor, _ = _pick(suited, rng)
    return _pick(subjects, rng) + form.format(word), float(np.clip(factor * value, -1, 1))
