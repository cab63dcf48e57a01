"""What a corpus holds: Tables 1 and 3 and Figure 2 of CH-SIMS (Yu et al., ACL 2020), of any corpus with labels in [-1, 1].

    python -m pipeline.results.corpus_tables --dataset build/dataset.h5 --clips build/clips --table1 results/sims_table1.csv \
        --table3 results/sims_table3.csv --figure2 results/sims_figure2.png --figure2-table results/sims_figure2.csv

Table 1 counts videos and clips, and gives their average length and text; Table 3 counts the clips of each split by class;
Figure 2 shows how often each label is given, and how far the four labels of a clip lie apart (equation 1). On CH-SIMS
itself the published figures stand beside in columns of their own.
"""

import argparse
import wave
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from models.metrics import CUTS_5, HIGH, LOW, classes
from models.system import TASKS
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import open_dataset

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)

CLASSES = ("NG", "WN", "NU", "WP", "PS")  # negative, weakly negative, neutral, weakly positive, positive
STEPS = np.round(np.linspace(-1, 1, 11), 1)  # labels are means of five votes of -1, 0 or 1 (section 3.2)
NAMES = {"M": "multimodal", "T": "text", "A": "audio", "V": "vision"}
COLOURS = {"M": "#404040", "T": "#c44e52", "A": "#55a868", "V": "#4c72b0"}

PUBLISHED_CORPUS = "CH-SIMS"
PUBLISHED_TABLE1 = (60, 2281, 1500, 781, 474, 3.67, 15)
PUBLISHED_TABLE3 = {
    "train": (1368, 452, 290, 207, 208, 211),
    "valid": (456, 151, 97, 69, 69, 70),
    "test": (457, 151, 97, 69, 69, 71),
}
PUBLISHED_DISTANCES = {"MT": 0.25, "MA": 0.14, "MV": 0.17, "TA": 0.28, "TV": 0.46, "AV": 0.21}


@dataclass(frozen=True)
class Corpus:
    """Clips of a data set: names, texts and splits [n]; labels [n, 4] of M, T, A, V, NaN where absent."""

    name: str
    video_id: np.ndarray
    clip_id: np.ndarray
    mode: np.ndarray
    text: np.ndarray
    labels: np.ndarray


def read_corpus(path: Path) -> Corpus:
    """Read what the tables need of dataset.h5. Raises UserError if its labels are not in [-1, 1]."""
    with open_dataset(path) as file:
        label_range = (file.attrs["label_low"], file.attrs["label_high"])
        if label_range != (LOW, HIGH):
            raise UserError(f"{path}: labels in {label_range}; the classes of CH-SIMS are made for {(LOW, HIGH)}")
        clips = {name: file[f"clips/{name}"].asstr()[:] for name in ("video_id", "clip_id", "mode", "text")}
        return Corpus(str(file.attrs["corpus"]), labels=file["labels"][:].astype(np.float64), **clips)


def clip_seconds(corpus: Corpus, folder: Path) -> np.ndarray:
    """Length of the sound of each clip in seconds, NaN for a clip without any: [shape=(n,)]."""
    seconds = np.full(len(corpus.clip_id), np.nan)
    for i, (video_id, clip_id) in enumerate(zip(corpus.video_id, corpus.clip_id, strict=True)):
        path = folder / video_id / f"{clip_id}.wav"
        if path.is_file():
            with wave.open(str(path)) as sound:
                seconds[i] = sound.getnframes() / sound.getframerate()
    return seconds


def make_table1(corpus: Corpus, clips: Path | None) -> pd.DataFrame:
    """Table 1: item, value, and why a value is missing."""
    seconds, of_length = np.nan, "the features were imported without the clips"
    if clips:
        lengths = clip_seconds(corpus, clips)
        with_sound = int(np.isfinite(lengths).sum())
        seconds = np.nanmean(lengths) if with_sound else np.nan
        of_length = "" if with_sound == len(lengths) else f"over the {with_sound} clips with sound"
    unknown = "the manifest names no speakers"
    rows = [
        ("videos", len(set(corpus.video_id)), ""),
        ("clips", len(corpus.clip_id), ""),
        ("clips of male speakers", np.nan, unknown),
        ("clips of female speakers", np.nan, unknown),
        ("distinct speakers", np.nan, unknown),
        ("average length of a clip (s)", seconds, of_length),
        ("average number of characters of a clip", np.mean([len(text) for text in corpus.text]), ""),
    ]
    table = pd.DataFrame(rows, columns=["item", "value", "note"])
    # Counts without decimals, means with two.
    table["value"] = [
        "" if pd.isna(value) else f"{value:.2f}" if item.startswith("average") else str(value) for item, value, _ in rows
    ]
    if corpus.name == PUBLISHED_CORPUS:
        table["published_value"] = PUBLISHED_TABLE1
    return table.assign(corpus=corpus.name)


def make_table3(corpus: Corpus) -> pd.DataFrame:
    """Table 3: clips of each split, in all and by class of the multimodal label."""
    rows = []
    for mode in ("train", "valid", "test"):
        labels = corpus.labels[corpus.mode == mode, 0]
        present = labels[~np.isnan(labels)]
        counts = np.bincount(classes(present, CUTS_5), minlength=len(CLASSES))
        row = {"split": mode, "total": len(labels)} | dict(zip(CLASSES, counts, strict=True))
        row["unlabelled"] = len(labels) - len(present)
        if corpus.name == PUBLISHED_CORPUS:
            names = ("total", *CLASSES)
            row |= {f"published_{name}": n for name, n in zip(names, PUBLISHED_TABLE3[mode], strict=True)}
        rows.append(row)
    return pd.DataFrame(rows).assign(corpus=corpus.name)


def label_counts(labels: np.ndarray) -> np.ndarray:
    """How many of `labels` [shape=(n,)] lie nearest to each of `STEPS`: int [shape=(11,)]; NaN is not counted."""
    present = labels[~np.isnan(labels)]
    return np.bincount(np.round((present + 1) * 5).astype(int), minlength=len(STEPS))


def label_distances(labels: np.ndarray) -> np.ndarray:
    """D_ij, mean squared difference of labels i and j over the clips that have both (equation 1): [shape=(4, 4)]."""
    count = labels.shape[1]
    distances = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(count):
            squares = (labels[:, i] - labels[:, j]) ** 2
            if np.isfinite(squares).any():
                distances[i, j] = np.nanmean(squares)
    return distances


def make_figure2_table(corpus: Corpus) -> pd.DataFrame:
    """What Figure 2 shows: quantity 'clips' of a label at a value, and 'D', the distance of a label from another."""
    rows = []
    for place, task in enumerate(TASKS):
        for step, count in zip(STEPS, label_counts(corpus.labels[:, place]), strict=True):
            rows.append({"quantity": "clips", "label": task, "at": f"{step:.1f}", "value": str(count)})
    distances = label_distances(corpus.labels)
    for i, first in enumerate(TASKS):
        for j, second in enumerate(TASKS):
            value = "NaN" if np.isnan(distances[i, j]) else f"{distances[i, j]:.4f}"
            row = {"quantity": "D", "label": first, "at": second, "value": value}
            if corpus.name == PUBLISHED_CORPUS and i < j:
                row["published_value"] = PUBLISHED_DISTANCES[first + second]
            rows.append(row)
    return pd.DataFrame(rows).assign(corpus=corpus.name)


def draw_figure2(corpus: Corpus, path: Path) -> None:
    """Left: clips by label, a bar per label M, T, A, V. Right: the matrix of their distances."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), width_ratios=(2.2, 1), layout="constrained")
    places = np.arange(len(STEPS))
    for i, task in enumerate(TASKS):
        counts = label_counts(corpus.labels[:, i])
        left.bar(places + 0.2 * (i - 1.5), counts, 0.2, color=COLOURS[task], label=f"{task} ({NAMES[task]})")
    left.set_xticks(places, [f"{step:.1f}" for step in STEPS])
    left.set(xlabel="label (-1 negative, 1 positive)", ylabel="clips", title="Distribution of the labels")
    left.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    distances = label_distances(corpus.labels)
    image = right.imshow(distances, cmap="Blues", vmin=0)
    for (i, j), value in np.ndenumerate(distances):
        dark = value > 0.6 * np.nanmax(distances)
        right.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
    right.set_xticks(range(len(TASKS)), TASKS)
    right.set_yticks(range(len(TASKS)), TASKS)
    right.set_title("Mean squared difference of two labels")
    figure.colorbar(image, ax=right, shrink=0.8)
    figure.suptitle(f"{corpus.name}, {len(corpus.clip_id)} clips", fontsize=12)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--clips", type=Path, help="folder with the clips of each video; leave out if there is none")
    parser.add_argument("--table1", type=Path, required=True)
    parser.add_argument("--table3", type=Path, required=True)
    parser.add_argument("--figure2", type=Path, required=True)
    parser.add_argument("--figure2-table", type=Path, required=True)
    arguments = parser.parse_args()
    corpus = read_corpus(arguments.dataset)
    tables = {
        arguments.table1: make_table1(corpus, arguments.clips),
        arguments.table3: make_table3(corpus),
        arguments.figure2_table: make_figure2_table(corpus),
    }
    for path, table in tables.items():
        with replacing(path) as temporary:
            table.to_csv(temporary, index=False)
    with replacing(arguments.figure2) as temporary:
        draw_figure2(corpus, temporary)


if __name__ == "__main__":
    run_command(main)
