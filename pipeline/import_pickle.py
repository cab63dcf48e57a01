"""Make dataset.h5 of a published feature file: CH-SIMS, CH-SIMS v2, MOSI or MOSEI in the format that MMSA reads.

    python -m pipeline.import_pickle --features unaligned_39.pkl --corpus CH-SIMS --label-range -1 1 \
        --encoder bert-base-chinese --output build/ch_sims_features/dataset.h5

The file is a pickled dict, train / valid / test -> key -> an entry per clip, aligned or not:

    id                               'video_0001$_$0001': video_id and clip_id
    raw_text                         text
    text, audio, vision              [clips, steps, columns], padded at the end
    text_bert                        [clips, 3, steps]: token ids, mask, segments; may be absent
    {text,audio,vision}_lengths      steps without the padding; may be absent
    regression_labels, and _T _A _V  numbers; the unimodal ones may be absent

dataset.h5 is as pipeline.dataset writes it, clips in the order train, valid, test, without the padding. A value that is
not finite becomes the mean of the train split, and so does the one frame that a clip without any gets; `flags` tells
which clips these are. Root attributes `source` and `source_sha256` name the file.
"""

import argparse
import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from features.statistics import mean_and_std
from models.system import MODALITIES, TASKS
from pipeline.base.command import UserError, run_command
from pipeline.base.hdf5 import new_hdf5
from pipeline.exchange.feature_file import SPLITS, FeatureFileError, check_splits, numbers, texts
from pipeline.exchange.padding import Modality, Spans, spans_of
from pipeline.exchange.unpickle import read_pickle
from pipeline.runs.dataset_file import write_attributes, write_clips
from pipeline.sources.names import check_text

LABEL_KEYS = ("regression_labels", "regression_labels_T", "regression_labels_A", "regression_labels_V")
EMPTY_FLAGS = {"text": "empty_text", "audio": "no_audio", "vision": "no_vision"}
FRAMES_AT_ONCE = 1 << 14
# size in bytes, how its sha256 begins -> what it is
KNOWN_FILES = {
    (1_228_189_774, "c9e20c13"): "matches the published CH-SIMS file unaligned_39.pkl (size, and prefix of the sha256)"
}


@dataclass
class Clips:
    """What the file says of the clips apart from their features; labels [clips, 4] are M, T, A, V, NaN where absent."""

    video_id: list[str]
    clip_id: list[str]
    mode: list[str]
    text: list[str]
    labels: np.ndarray
    flags: list[list[str]]
    messages: list[list[str]]

    def flag(self, clip: int, flag: str, message: str) -> None:
        self.flags[clip].append(flag)
        self.messages[clip].append(f"{self.video_id[clip]}/{self.clip_id[clip]}: {message}")


def clips_of(content: dict[str, dict], label_range: tuple[float, float]) -> Clips:
    """Names, texts and labels of all clips.

    Raises FeatureFileError for an id without '$_$' and for a label outside `label_range`.
    """
    clips = Clips([], [], [], [], np.empty((0, len(LABEL_KEYS)), np.float32), [], [])
    for mode in SPLITS:
        ids = texts(content, mode, "id")
        for name in ids:
            check_id(name, mode)
            video_id, mark, clip_id = name.rpartition("$_$")
            if not mark:
                raise FeatureFileError(f"split '{mode}', key 'id': '{name}' is not <video_id>$_$<clip_id>; correct the id")
            clips.video_id.append(video_id)
            clips.clip_id.append(clip_id)
        clips.mode += [mode] * len(ids)
        clips.text += texts(content, mode, "raw_text")
        columns = [labels_of(content, mode, key, ids, label_range) for key in LABEL_KEYS]
        clips.labels = np.concatenate([clips.labels, np.stack(columns, axis=1)])
    clips.flags = [[] for _ in clips.mode]
    clips.messages = [[] for _ in clips.mode]
    flag_odd_texts(clips)
    seen: set[tuple[str, str]] = set()
    for i, name in enumerate(zip(clips.video_id, clips.clip_id, strict=True)):
        if name in seen:
            clips.flag(i, "duplicate_id", "this id occurs more than once in the file; ask its authors")
        seen.add(name)
    return clips


def check_id(name: str, mode: str) -> None:
    """Raise FeatureFileError if an id holds what cannot be kept."""
    try:
        check_text(name)
    except ValueError as error:
        raise FeatureFileError(f"split '{mode}', key 'id': {ascii(name)}: {error}; correct the id") from error


def flag_odd_texts(clips: Clips) -> None:
    """Put U+FFFD in the place of characters that no text has, and flag the clip."""
    for i, text in enumerate(clips.text):
        try:
            check_text(text)
        except ValueError as error:
            clips.text[i] = "".join("\ufffd" if letter == "\0" or "\ud800" <= letter <= "\udfff" else letter for letter in text)
            clips.flag(i, "odd_text", f"{error}, U+FFFD stands for it; correct the text")


def check_tasks(clips: Clips, tasks: Collection[str]) -> None:
    """Raise FeatureFileError unless every split has a label of each of these tasks."""
    for task in tasks:
        place = TASKS.index(task)
        for mode in SPLITS:
            if np.isnan(clips.labels[np.array(clips.mode) == mode, place]).all():
                raise FeatureFileError(
                    f"split '{mode}' has no {LABEL_KEYS[place]}; name the labels that the file has in the config "
                    "(`features_file: {tasks: [M]}` for the multimodal one alone)"
                )


def labels_of(content: dict[str, dict], mode: str, key: str, ids: list[str], label_range: tuple[float, float]) -> np.ndarray:
    """float32 labels of a split, NaN where absent; only the multimodal key has to be there."""
    if key != LABEL_KEYS[0] and key not in content[mode]:
        return np.full(len(ids), np.nan, np.float32)
    labels = numbers(content, mode, key, 1).astype(np.float32)
    low, high = label_range
    outside = np.flatnonzero((labels < low - 1e-6) | (labels > high + 1e-6))
    if outside.size:
        raise FeatureFileError(
            f"split '{mode}', key '{key}': {labels[outside[0]]} of clip {ids[outside[0]]} is outside [{low:g}, {high:g}] "
            f"({outside.size} such labels); set the label range to that of the corpus"
        )
    return labels


def portions(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Some frames at a time: statistics are in float64, and a whole modality of a corpus would not fit."""
    return (frames[start : start + FRAMES_AT_ONCE] for start in range(0, len(frames), FRAMES_AT_ONCE))


def write_modality(file: h5py.File, name: str, take: Callable[[str], np.ndarray], modality: Modality, clips: Clips) -> None:
    """Write values, offsets and train statistics of one modality, split by split.

    `take` gives the padded array of a split and keeps no hold of it. Clips with frames that are absent, not finite, or left
    out although they have content, are flagged.
    """
    group = file.create_group(name)
    lengths = {mode: modality.spans[mode].lengths for mode in SPLITS}
    used = {mode: np.maximum(lengths[mode], 1) for mode in SPLITS}
    offsets = np.cumsum([0, *np.concatenate(list(used.values()))]).astype(np.int64)
    first_clip = 0
    for mode in SPLITS:
        padded = take(mode)
        count = len(padded)
        frames = padded[modality.spans[mode].inside(padded.shape[1])].astype(np.float32)
        del padded
        if mode == "train":
            group.create_dataset("values", (int(offsets[-1]), frames.shape[1]), np.float32)
        if frames.shape[1] != group["values"].shape[1]:
            raise FeatureFileError(
                f"split '{mode}', key '{name}': {frames.shape[1]} columns, but split 'train' has {group['values'].shape[1]}"
                "; give all splits the same features"
            )
        clip_of_frame = np.repeat(np.arange(count), used[mode])
        broken = ~np.isfinite(frames)
        for clip, bad in zip(*np.unique(clip_of_frame[broken.any(axis=1)], return_counts=True), strict=True):
            message = f"{bad} of {used[mode][clip]} {name} frames hold values that are not finite; the train mean replaces them"
            clips.flag(first_clip + clip, f"{name}_not_finite", message)
        for clip in np.flatnonzero(modality.outside[mode]):
            message = (
                f"{modality.outside[mode][clip]} {name} frames with content lie beyond its length in `{name}_lengths` and are "
                "left out; correct the length"
            )
            clips.flag(first_clip + clip, f"{name}_beyond_length", message)
        for clip in np.flatnonzero(lengths[mode] < 1):
            clips.flag(first_clip + clip, EMPTY_FLAGS[name], f"no {name} frame in the file; the train mean stands for it")
        broken |= (lengths[mode] < 1)[clip_of_frame][:, None]
        frames[broken] = np.nan
        if mode == "train":
            group["mean"], group["std"] = mean_and_std(partial(portions, frames))
        rows, columns = np.nonzero(broken)
        frames[rows, columns] = group["mean"][:][columns]
        group["values"][offsets[first_clip] : offsets[first_clip + count]] = frames
        first_clip += count
    group["offsets"] = offsets
    group.attrs["padding"] = modality.padding
    group.attrs["columns"] = [f"{name}_{i}" for i in range(group["values"].shape[1])]


def release(content: dict[str, dict], modality: str, mode: str) -> np.ndarray:
    """The padded array of a modality in a split, which `content` holds no longer."""
    values = numbers(content, mode, modality, 3)
    del content[mode][modality]
    return values


def token_ids(content: dict[str, dict], spans: dict[str, Spans]) -> np.ndarray | None:
    """int32 token ids of all clips one after the other, or None if the file has no text_bert."""
    if not all("text_bert" in content[mode] for mode in SPLITS):
        return None
    parts = []
    for mode in SPLITS:
        ids = numbers(content, mode, "text_bert", 3)[:, 0]
        parts.append(ids[spans[mode].inside(ids.shape[1])].astype(np.int32))
    return np.concatenate(parts)


def write_dataset(file: h5py.File, content: dict[str, dict], label_range: tuple[float, float], tasks: Collection[str]) -> Clips:
    """Write everything but the root attributes; `content` is emptied on the way, since it may be large."""
    clips = clips_of(content, label_range)
    check_tasks(clips, tasks)
    modalities = {name: spans_of(content, name) for name in MODALITIES}
    ids = token_ids(content, modalities["text"].spans)
    for name, modality in modalities.items():
        write_modality(file, name, partial(release, content, name), modality, clips)
    if ids is not None:
        file["text/token_ids"] = ids
    write_clips(file, vars(clips), clips.labels, clips.flags, clips.messages)
    return clips


def recognise(size: int, sha256: str) -> str:
    """Which published file this is, by its size in bytes and its digest."""
    for (known_size, prefix), words in KNOWN_FILES.items():
        if size == known_size and sha256.startswith(prefix):
            return words
    return "unknown file"


def import_features(
    features: Path,
    corpus: str,
    label_range: tuple[float, float],
    encoder: str,
    output: str | Path,
    tasks: Collection[str] = ("M",),
) -> None:
    """Write dataset.h5 of a feature file and print what was found.

    Parameters
    ----------
    features : Path
        The feature file.
    corpus : str
        Name of the corpus.
    label_range : tuple of float
        Lowest and highest label there can be.
    encoder : str
        The text encoder of whose vocabulary text_bert is; '' if unknown.
    output : str or Path
        dataset.h5.
    tasks : collection of str
        Labels that the file must have, of M, T, A, V.

    Raises
    ------
    FeatureFileError
        If the file has not the format; see the module docstring.
    UnsafePickleError
        If it is no plain pickle of arrays, see pipeline.exchange.unpickle.
    """
    with features.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    print(f"{features}: sha256 {sha256}, {recognise(features.stat().st_size, sha256)}")
    content = check_splits(read_pickle(features))
    with new_hdf5(output) as file:
        clips = write_dataset(file, content, label_range, tasks)
        write_attributes(file, corpus, label_range, Path(encoder).name)
        file.attrs["source"], file.attrs["source_sha256"] = features.name, sha256
        tokens = "with" if "token_ids" in file["text"] else "without"
    counts = ", ".join(f"{mode} {clips.mode.count(mode)}" for mode in SPLITS)
    print(f"{len(clips.mode)} clips ({counts}), {sum(map(bool, clips.flags))} with flags, {tokens} token ids")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="the feature file, a pickle")
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in every table")
    parser.add_argument("--label-range", nargs=2, type=float, required=True, metavar=("LOW", "HIGH"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["M"], help="labels that the file must have")
    parser.add_argument("--encoder", default="", help="the text encoder of whose vocabulary text_bert is; '' if unknown")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    label_range = tuple(arguments.label_range)
    try:
        import_features(arguments.features, arguments.corpus, label_range, arguments.encoder, arguments.output, arguments.tasks)
    except FeatureFileError as error:
        raise UserError(f"{arguments.features}: {error}") from error


if __name__ == "__main__":
    run_command(main)
