"""Where clips begin and end in padded arrays: zeros behind them, as in most feature files, or before them (MulT's files)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.exchange.feature_file import SPLITS, FeatureFileError, numbers

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


@dataclass
class Modality:
    """The side on which a modality is padded, and of each split its clips' spans and the rows with content outside them."""

    padding: str
    spans: dict[str, Spans]
    outside: dict[str, np.ndarray]


def text_mask(content: dict[str, dict], mode: str) -> np.ndarray | None:
    """Where text_bert has tokens [shape=(clips, steps)], or None without that key."""
    if "text_bert" not in content[mode]:
        return None
    tokens = numbers(content, mode, "text_bert", 3)
    expected = (len(tokens), 3, numbers(content, mode, "text", 3).shape[1])
    if tokens.shape != expected:
        raise FeatureFileError(
            f"split '{mode}', key 'text_bert': shape {tokens.shape}, with 'text' it must be {expected}; correct one of the two"
        )
    return tokens[:, 1] != 0


def stated_lengths(content: dict[str, dict], mode: str, modality: str, aligned: bool) -> np.ndarray | None:
    """`<modality>_lengths` [shape=(clips,)], or None without that key.

    A file that was aligned later may still carry the lengths of before: if one exceeds the steps, none counts.
    """
    if f"{modality}_lengths" not in content[mode]:
        return None
    lengths = numbers(content, mode, f"{modality}_lengths", 1).astype(np.int64)
    if (lengths < 0).any():
        raise FeatureFileError(f"split '{mode}', key '{modality}_lengths': a negative length; correct it")
    steps = numbers(content, mode, modality, 3).shape[1]
    return None if aligned and lengths.max() > steps else lengths


def spans_of(content: dict[str, dict], modality: str) -> Modality:
    """Where the clips lie in the padded arrays of a modality, from the first of these that the file has.

    The mask of text_bert for text; `<modality>_lengths`; the spans of the text, if the modality is aligned with it (has as
    many steps); what is left without the steps of zeros on the side of the padding.
    """
    used = {mode: text_mask(content, mode) if modality == "text" else None for mode in SPLITS}
    masked = {mode for mode in SPLITS if used[mode] is not None}
    for mode in SPLITS:
        if mode not in masked:
            used[mode] = used_steps(numbers(content, mode, modality, 3))
    result = Modality(padding_side(used.values()), {}, {})
    for mode in SPLITS:
        steps = used[mode].shape[1]
        aligned = modality != "text" and steps == numbers(content, mode, "text", 3).shape[1]
        lengths = None if mode in masked else stated_lengths(content, mode, modality, aligned)
        result.outside[mode] = np.zeros(len(used[mode]), np.int64)
        if mode in masked:
            result.spans[mode] = outermost(used[mode])
        elif lengths is not None:
            result.spans[mode] = of_lengths(lengths, steps, result.padding)
            clips, rows = np.nonzero(used[mode] & ~result.spans[mode].inside(steps))
            finite = np.isfinite(numbers(content, mode, modality, 3)[clips, rows]).all(axis=1)
            np.add.at(result.outside[mode], clips[finite & (lengths[clips] > 0)], 1)  # without any it is flagged as empty
        elif aligned:
            result.spans[mode] = spans_of(content, "text").spans[mode]
        else:
            result.spans[mode] = without_padding(used[mode], result.padding)
    return result
