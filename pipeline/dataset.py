"""Join manifest and feature files into one data set.

    python -m pipeline.dataset --manifest data_manifest.csv --clips build/clips --features build/features \
        --corpus 'synthetic demo corpus' --output build/dataset.h5

dataset.h5 is ragged: per modality all frames of all clips one after the other and the offsets of each clip, rows in the
order of the manifest. It holds no padding; that happens in the batch. Layout:

    clips/{video_id, clip_id, mode, text}            text, [clips]
    clips/{flags, message}                           text, [clips]: what is wrong with a clip (';' between flags)
    labels                                           float32 [clips, 4]: M, T, A, V; NaN where absent
    {text,audio,vision}/values                       float32 [frames of all clips, columns]
    {text,audio,vision}/offsets                      int64 [clips + 1]
    {text,audio,vision}/mean, std                    float32 [columns], over the frames of the TRAIN split only
    text/token_ids                                   int32 [tokens of all clips], rows as text/values, for fine-tuning

Root attributes: corpus; label_low and label_high; encoder, the text encoder whose vocabulary the token ids are of. Those of
each modality are the attributes of its feature files (`pipeline.base.store`), and `pooling`, how many frames of theirs are one.

An undefined value (a frame without a face) becomes the mean of the train split, and a clip without any frame gets one
frame of means, so that after standardisation both are zero; `flags` tells which clips these are.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from tqdm import tqdm

from features.pooling import mean_pool
from features.statistics import mean_and_std
from pipeline.base.command import UserError, run_command
from pipeline.base.hdf5 import new_hdf5
from pipeline.base.store import StoreAttributes, put_attributes, read_store
from pipeline.runs.dataset_file import write_attributes, write_clips
from pipeline.sources.clip_table import read_clips
from pipeline.sources.manifest_table import LABELS, rows_of_all

MODALITIES = ("text", "audio", "vision")
CLIPS_AT_ONCE = 256  # whose frames are looked at together
RATE_TOLERANCE = 1.01  # largest ratio of the frame rates of two videos


@dataclass
class Modality:
    """What the feature files of one modality say of the clips, in manifest order, apart from the values.

    attributes : those of the files. lengths : int64 [shape=(clips,)], frames of each clip after pooling. flags : of each clip.
    messages : of each clip. has_token_ids : whether there is a token id for each frame.
    """

    attributes: StoreAttributes
    lengths: np.ndarray
    flags: list[list[str]]
    messages: list[str]
    has_token_ids: bool


def survey(rows: pd.DataFrame, folder: Path, window: int = 1) -> Modality:
    """Look through the feature files of one modality without keeping their values, which may be more than the memory holds.

    Parameters
    ----------
    rows : pd.DataFrame
        The manifest.
    folder : Path
        Holds `<video_id>.h5`.
    window : int
        Frames per mean, see `mean_pool`.

    Raises
    ------
    UserError
        If a file is damaged, a clip is missing in its file, or files differ in their columns, settings or frame rate.
    """
    first, rates = None, []
    found: dict[tuple[str, str], tuple[int, list[str], str, bool]] = {}
    for video_id, own in tqdm(rows.groupby("video_id", sort=False), desc=f"read {folder.name}", unit="video"):
        path = folder / f"{video_id}.h5"
        store = read_store(path, video_id)
        first = first or store.attributes
        for name in ("columns", "extractor", "settings", "weights"):
            if getattr(store.attributes, name) != getattr(first, name):
                raise UserError(f"{path} has other {name} than the other videos; delete {folder} and run again")
        rates.append(store.attributes.frame_rate)
        for clip_id in own["clip_id"]:
            clip = store.clips.get(clip_id)
            if clip is None:
                raise UserError(f"{path} lacks clip {clip_id} of the manifest; delete it and run again")
            found[video_id, clip_id] = -(-len(clip.values) // window), clip.flags, clip.message, "token_ids" in clip.extras
    if max(rates) > RATE_TOLERANCE * min(rates):
        raise UserError(
            f"{folder} has videos of {min(rates):g} and of {max(rates):g} frames/s, which pooling by frames would mix; "
            "bring them to one rate"
        )
    clips = [found[name] for name in zip(rows["video_id"], rows["clip_id"], strict=True)]
    lengths, flags, messages, has_token_ids = map(list, zip(*clips, strict=True))
    return Modality(first, np.array(lengths, dtype=np.int64), flags, messages, all(has_token_ids))


def write_modality(file: h5py.File, name: str, rows: pd.DataFrame, folder: Path, window: int = 1) -> Modality:
    """Write values, offsets and train statistics of one modality, one video in memory at a time; see `survey`.

    The order on the disk is the manifest's; a clip without any frame gets one.
    """
    modality = survey(rows, folder, window)
    used = np.maximum(modality.lengths, 1)
    offsets = np.concatenate([[0], np.cumsum(used)])
    group = file.create_group(name)
    group["offsets"] = offsets
    values = group.create_dataset("values", (int(offsets[-1]), len(modality.attributes.columns)), np.float32)
    if modality.has_token_ids:
        token_ids = group.create_dataset("token_ids", (int(offsets[-1]),), np.int32)
    places = dict(zip(zip(rows["video_id"], rows["clip_id"], strict=True), zip(offsets[:-1], used, strict=True), strict=True))
    for video_id, own in tqdm(rows.groupby("video_id", sort=False), desc=f"write {name}", unit="video"):
        clips = read_store(folder / f"{video_id}.h5", video_id).clips
        for clip_id in own["clip_id"]:
            clip, (place, length) = clips[clip_id], places[video_id, clip_id]
            pooled = mean_pool(clip.values, window)
            values[place : place + length] = pooled if len(pooled) else np.nan
            if modality.has_token_ids:
                token_ids[place : place + length] = clip.extras["token_ids"]
    is_train = (rows["mode"] == "train").to_numpy()
    mean, std = mean_and_std(lambda: (values[span] for span in spans(offsets, is_train)))
    for span in spans(offsets, np.full(len(rows), True)):
        frames = values[span]
        if np.isnan(frames).any():
            values[span] = np.where(np.isnan(frames), mean, frames)
    group["mean"], group["std"] = mean, std
    put_attributes(group, modality.attributes)
    group.attrs["pooling"] = window
    return modality


def spans(offsets: np.ndarray, chosen: np.ndarray) -> Iterator[slice]:
    """The frames of the chosen clips [shape=(clips,), bool], in order, of at most `CLIPS_AT_ONCE` neighbours at a time."""
    clips = np.flatnonzero(chosen)
    for run in np.split(clips, np.flatnonzero(np.diff(clips) > 1) + 1):
        for first in range(0, len(run), CLIPS_AT_ONCE):
            part = run[first : first + CLIPS_AT_ONCE]
            yield slice(offsets[part[0]], offsets[part[-1] + 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--features", type=Path, required=True, help="folder with text/, audio/ and vision/")
    parser.add_argument("--clips", type=Path, required=True, help="folder with the clips of each video")
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in every table")
    parser.add_argument("--label-range", nargs=2, type=float, default=(-1.0, 1.0), metavar=("LOW", "HIGH"))
    parser.add_argument("--vision-pooling", type=int, default=5, help="frames per mean of the vision features")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    rows = rows_of_all(arguments.manifest)
    if not (rows["mode"] == "train").any():
        raise UserError(f"{arguments.manifest} has no clip with mode 'train': the statistics need one")
    flags, messages = clip_flags(rows, arguments.clips)
    with new_hdf5(arguments.output) as file:
        for name in MODALITIES:
            window = arguments.vision_pooling if name == "vision" else 1
            modality = write_modality(file, name, rows, arguments.features / name, window)
            if name == "text":
                encoder = modality.attributes.settings.get("encoder", "")
            for i in range(len(rows)):
                flags[i] += [flag for flag in modality.flags[i] if flag not in flags[i]]
                messages[i] += [message for message in [modality.messages[i]] if message]
        write_clips(file, rows, rows[LABELS].to_numpy(dtype=np.float32), flags, messages)
        write_attributes(file, arguments.corpus, arguments.label_range, encoder)
    print(f"{len(rows)} clips, {sum(map(bool, flags))} with flags")


def clip_flags(rows: pd.DataFrame, clips: Path) -> tuple[list[list[str]], list[list[str]]]:
    """What the cutting had to say of each clip of the manifest: flags and messages, in manifest order."""
    found = {(video_id, clip.clip_id): clip for video_id in rows["video_id"].unique() for clip in read_clips(clips / video_id)}
    cut = [found[row.video_id, row.clip_id] for row in rows.itertuples()]
    return [list(clip.flags) for clip in cut], [[message for message in clip.messages if message] for clip in cut]


if __name__ == "__main__":
    run_command(main)
