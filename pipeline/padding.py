"""Where clips begin and end in padded arrays: zeros behind them, as in most feature files, or before them (MulT's files)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

CLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class Spans:
    """First step and the step after the last of each clip: [shape=(clips,)]; equal for a clip without any."""

    start: np.ndarray
    end: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each clip."""
        return self.end - self.start

    def inside(self, steps: int) -> np.ndarray:
        """Which of so many steps are a clip's [shape=(clips, steps)]; of a clip without any, one."""
        start = np.minimum(self.start, steps - 1)[:, None]
        step = np.arange(steps)
        return (step >= start) & (step < np.maximum(self.end[:, None], start + 1))


def used_steps(values: np.ndarray) -> np.ndarray:
    """Which steps are not all zero, of values [shape=(clips, steps, columns)]: bool [shape=(clips, steps)]."""
    parts = [(values[i : i + CLIPS_AT_ONCE] != 0).any(axis=2) for i in range(0, len(values), CLIPS_AT_ONCE)]
    return np.concatenate(parts)


def padding_side(masks: Iterable[np.ndarray]) -> str:
    """'left' or 'right': the side on which more clips have the longer row of unused steps; masks [shape=(clips, steps)]."""
    left = right = 0
    for used in masks:
        spans = outermost(used)
        before, behind = spans.start, used.shape[1] - spans.end
        some = used.any(axis=1)
        left, right = left + np.sum(some & (before > behind)), right + np.sum(some & (behind > before))
    return "left" if left > right else "right"


def outermost(used: np.ndarray) -> Spans:
    """From the first to the last used step of a mask [shape=(clips, steps)]."""
    some = used.any(axis=1)
    return Spans(np.where(some, used.argmax(axis=1), 0), np.where(some, used.shape[1] - used[:, ::-1].argmax(axis=1), 0))


def without_padding(used: np.ndarray, side: str) -> Spans:
    """Without the unused steps on one side; a zero at the other is none of padding."""
    spans = outermost(used)
    if side == "right":
        return Spans(np.zeros_like(spans.start), spans.end)
    some = used.any(axis=1)
    return Spans(spans.start, np.where(some, used.shape[1], 0))


def of_lengths(lengths: np.ndarray, steps: int, side: str) -> Spans:
    """So many steps, at the side that is not padded."""
    lengths = np.minimum(lengths, steps)
    if side == "right":
        return Spans(np.zeros_like(lengths), lengths)
    return Spans(steps - lengths, np.full_like(lengths, steps))
