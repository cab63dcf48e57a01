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
from pipeline.base.store import Store, StoreAttributes, put_attributes, read_store
from pipeline.runs.dataset_file import fill, write_attributes, write_clips
from pipeline.sources.clip_table import read_clips
from pipeline.sources.manifest_table import LABELS, rows_of_all

MODALITIES = ("text", "audio", "vision")
RATE_TOLERANCE = 1.01  # largest ratio of the frame rates of two videos


@dataclass
class Modality:
    """All clips of one modality, in manifest order.

    attributes : those of the feature files. pooling : frames of theirs behind each frame. values : [frames, columns] per clip.
    token_ids : [frames] per clip, of text only.
    """

    attributes: StoreAttributes
    pooling: int
    values: list[np.ndarray]
    token_ids: list[np.ndarray]
    flags: list[list[str]]
    messages: list[str]


def load_modality(rows: pd.DataFrame, folder: Path, window: int = 1) -> Modality:
    """Read the feature files of one modality.

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
    ValueError
        If a clip is missing in its file, or files differ in their columns, their settings or their frame rate.
    """
    stores: dict[str, Store] = {}
    for video_id in tqdm(rows["video_id"].unique(), desc=f"read {folder.name}", unit="video"):
        store = read_store(folder / f"{video_id}.h5", video_id)
        for clip in store.clips.values():
            clip.values = mean_pool(clip.values, window)
        stores[video_id] = store
    first = next(iter(stores.values())).attributes
    for video_id, store in stores.items():
        for name in ("columns", "extractor", "settings", "weights"):
            if getattr(store.attributes, name) != getattr(first, name):
                raise UserError(f"{folder}/{video_id}.h5 has other {name} than the other videos; delete {folder} and run again")
    rates = [store.attributes.frame_rate for store in stores.values()]
    if max(rates) > RATE_TOLERANCE * min(rates):
        raise UserError(
            f"{folder} has videos of {min(rates):g} and of {max(rates):g} frames/s, which pooling by frames would mix; "
            "bring them to one rate"
        )
    modality = Modality(first, window, [], [], [], [])
    for row in rows.itertuples():
        clip = stores[row.video_id].clips.get(row.clip_id)
        if clip is None:
            raise UserError(f"{folder}/{row.video_id}.h5 lacks clip {row.clip_id} of the manifest; delete it and run again")
        modality.values.append(clip.values)
        if "token_ids" in clip.extras:
            modality.token_ids.append(clip.extras["token_ids"])
        modality.flags.append(clip.flags)
        modality.messages.append(clip.message)
    return modality


def write_modality(file: h5py.File, name: str, modality: Modality, is_train: np.ndarray) -> None:
    """Write values, offsets and train statistics of one modality."""
    chosen = [values for values, train in zip(modality.values, is_train, strict=True) if train]
    mean, std = mean_and_std(np.concatenate(chosen))
    filled = [fill(values, mean) for values in modality.values]
    group = file.create_group(name)
    group["values"] = np.concatenate(filled).astype(np.float32)
    group["offsets"] = np.cumsum([0, *(len(values) for values in filled)]).astype(np.int64)
    group["mean"], group["std"] = mean, std
    if modality.token_ids:
        group["token_ids"] = np.concatenate(modality.token_ids).astype(np.int32)
    put_attributes(group, modality.attributes)
    group.attrs["pooling"] = modality.pooling


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
    is_train = (rows["mode"] == "train").to_numpy()
    if not is_train.any():
        raise UserError(f"{arguments.manifest} has no clip with mode 'train': the statistics need one")
    flags, messages = clip_flags(rows, arguments.clips)
    with new_hdf5(arguments.output) as file:
        for name in MODALITIES:
            window = arguments.vision_pooling if name == "vision" else 1
            modality = load_modality(rows, arguments.features / name, window)
            write_modality(file, name, modality, is_train)
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
