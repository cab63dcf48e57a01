"""Give dataset.h5 as a feature file in the format that MMSA reads; pipeline.import_pickle describes it.

    python -m pipeline.export_pickle --dataset build/dataset.h5 --output results/features.pkl

Each modality is padded with zeros at the end to int(mean + 3 standard deviations) of its lengths over all clips, as the
feature files of CH-SIMS are; a longer clip is cut at its end, and the number of those is printed. Values are the
features as they are, not standardised. The same data set gives the same bytes.
"""

import argparse
import pickle
from pathlib import Path

import h5py
import numpy as np

from models.system import MODALITIES
from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.base.store import open_dataset
from pipeline.exchange.feature_file import SPLITS
from pipeline.import_pickle import LABEL_KEYS

ANNOTATIONS = ("Negative", "Neutral", "Positive")


def padded_steps(lengths: np.ndarray) -> int:
    """int(mean + 3 standard deviations) of the lengths [shape=(clips,)], the steps of a modality in the file."""
    return int(lengths.mean() + 3 * lengths.std())


def pad(frames: h5py.Dataset, offsets: np.ndarray, clips: np.ndarray, steps: int) -> np.ndarray:
    """Clips of a ragged array [shape=(all frames, ...)], zeros at the end [shape=(clips, steps, ...)], float32."""
    padded = np.zeros((len(clips), steps, *frames.shape[1:]), np.float32)
    for row, clip in zip(padded, clips, strict=True):
        end = min(offsets[clip + 1], offsets[clip] + steps)
        row[: end - offsets[clip]] = frames[offsets[clip] : end]
    return padded


def bert_input(file: h5py.File, clips: np.ndarray, steps: int) -> np.ndarray:
    """Token ids, mask and segments (all 0) of clips [shape=(clips, 3, steps)], float32."""
    offsets = file["text/offsets"][:]
    ids = pad(file["text/token_ids"], offsets, clips, steps)
    mask = (np.arange(steps) < np.diff(offsets)[clips, None]).astype(np.float32)
    return np.stack([ids, mask, np.zeros_like(mask)], axis=1)


def split_content(file: h5py.File, mode: str, steps: dict[str, int], label_keys: list[str]) -> dict:
    """What the feature file holds of one split, with the labels of `label_keys`."""
    clips = np.flatnonzero(file["clips/mode"].asstr()[:] == mode)
    names = {name: file[f"clips/{name}"].asstr()[:][clips] for name in ("video_id", "clip_id", "text")}
    labels = file["labels"][:][clips]
    content = {
        "raw_text": names["text"],
        "id": np.array([f"{video}$_${clip}" for video, clip in zip(names["video_id"], names["clip_id"], strict=True)], object),
        "annotations": np.array([annotation(label) for label in labels[:, 0]], object),
    }
    for modality in MODALITIES:
        offsets = file[f"{modality}/offsets"][:]
        content[modality] = pad(file[f"{modality}/values"], offsets, clips, steps[modality])
        content[f"{modality}_lengths"] = np.minimum(np.diff(offsets)[clips], steps[modality]).tolist()
    if "token_ids" in file["text"]:
        content["text_bert"] = bert_input(file, clips, steps["text"])
    for key in label_keys:
        values = labels[:, LABEL_KEYS.index(key)]
        content[key] = values
        content[key.replace("regression", "classification")] = np.sign(values) + 1  # 0 negative, 1 neutral, 2 positive
    return content


def annotation(label: float) -> str:
    """Negative, Neutral or Positive; '' without a label."""
    return "" if np.isnan(label) else ANNOTATIONS[int(np.sign(label)) + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    steps = {}
    with open_dataset(arguments.dataset) as file:
        for modality in MODALITIES:
            lengths = np.diff(file[f"{modality}/offsets"][:])
            steps[modality] = padded_steps(lengths)
            cut = int((lengths > steps[modality]).sum())
            print(f"{modality}: {steps[modality]} steps, {cut} of {len(lengths)} clips cut at the end")
        if "token_ids" not in file["text"]:
            print("no token ids in the data set, so no text_bert: systems that fine-tune BERT cannot use this file")
        labelled = ~np.isnan(file["labels"][:]).all(axis=0)
        for key, present in zip(LABEL_KEYS, labelled, strict=True):
            if not present:
                print(f"no clip has a label for {key}: it is left out")
        label_keys = [key for key, present in zip(LABEL_KEYS, labelled, strict=True) if present]
        content = {mode: split_content(file, mode, steps, label_keys) for mode in SPLITS}
    with replacing(arguments.output) as temporary, temporary.open("wb") as output:
        pickle.dump(content, output, protocol=4)


if __name__ == "__main__":
    run_command(main)
