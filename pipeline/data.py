"""dataset.h5 in memory, and batches of it.

dataset.h5 holds all frames of a modality in one array with offsets; a batch is padded to the longest of its own clips.
Audio and vision are standardised with mean and standard deviation of the train split; text vectors stay as the encoder
gives them, since their scale is the same for all columns and means something.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from models.system import MODALITIES, TASKS, Batch, Sequences

STANDARDISED = ("audio", "vision")


@dataclass(frozen=True)
class Dataset:
    """All clips of a corpus.

    video_id, clip_id, mode : lists of n strings. labels : {task: Tensor [shape=(n,)]}, NaN = absent.
    values : {modality: Tensor [shape=(all frames, D)]}; offsets : {modality: Tensor [shape=(n + 1,)]}, where each clip's
    frames begin. corpus : its name. label_range : smallest and largest label there can be.
    """

    video_id: list[str]
    clip_id: list[str]
    mode: list[str]
    labels: dict[str, torch.Tensor]
    values: dict[str, torch.Tensor]
    offsets: dict[str, torch.Tensor]
    corpus: str
    label_range: tuple[float, float]

    @property
    def widths(self) -> dict[str, int]:
        return {modality: self.values[modality].shape[1] for modality in MODALITIES}

    @property
    def longest(self) -> dict[str, int]:
        """Frames of the longest clip, per modality."""
        return {modality: int(self.offsets[modality].diff().max()) for modality in MODALITIES}

    def split(self, mode: str) -> np.ndarray:
        """Indices of the clips of a split."""
        return np.flatnonzero(np.array(self.mode) == mode)

    def batch(self, indices: np.ndarray) -> Batch:
        """The clips at `indices`, padded with zeros to the longest of them."""
        chosen = torch.as_tensor(indices, device=self.offsets["text"].device)
        batch = {}
        for modality in MODALITIES:
            start, end = self.offsets[modality][chosen], self.offsets[modality][chosen + 1]
            lengths = end - start
            step = torch.arange(int(lengths.max()), device=chosen.device)
            frames = torch.minimum(start[:, None] + step, end[:, None] - 1)
            padding = step >= lengths[:, None]
            batch[modality] = Sequences(self.values[modality][frames].masked_fill(padding[..., None], 0.0), lengths)
        return batch

    def batch_labels(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """Labels of the clips at `indices`."""
        chosen = torch.as_tensor(indices, device=self.offsets["text"].device)
        return {task: labels[chosen] for task, labels in self.labels.items()}


def read_dataset(path: Path, device: torch.device) -> Dataset:
    """Read dataset.h5 as a whole onto `device`.

    Raises ValueError if a feature is not finite or a clip has no frame in some modality.
    """
    with h5py.File(path) as file:
        clips = {name: file["clips"][name].asstr()[:].tolist() for name in ("video_id", "clip_id", "mode")}
        labels = torch.from_numpy(file["labels"][:])
        values, offsets = {}, {}
        for modality in MODALITIES:
            group = file[modality]
            frames, starts = group["values"][:], group["offsets"][:].astype(np.int64)
            if not np.isfinite(frames).all():
                raise ValueError(f"{path}: {modality} features that are not finite: make the data set again")
            empty = np.flatnonzero(np.diff(starts) < 1)
            if empty.size:
                name = f"{clips['video_id'][empty[0]]}/{clips['clip_id'][empty[0]]}"
                raise ValueError(f"{path}: {name} has no {modality} frame: make the data set again")
            if modality in STANDARDISED:
                frames = standardise(frames, group["mean"][:], group["std"][:])
            values[modality] = torch.from_numpy(frames).to(device)
            offsets[modality] = torch.from_numpy(starts).to(device)
        return Dataset(
            **clips,
            labels={task: labels[:, column].to(device) for column, task in enumerate(TASKS)},
            values=values,
            offsets=offsets,
            corpus=str(file.attrs["corpus"]),
            label_range=(float(file.attrs["label_low"]), float(file.attrs["label_high"])),
        )


def standardise(frames: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(frames - mean) / deviation per column [shape=(frames, D)]; a column that is constant in train is only centred."""
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1.0)
    return ((frames - mean) / np.where(constant, 1.0, deviation)).astype(np.float32)


def even_batches(indices: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut `indices` into the fewest batches of at most `batch_size` clips, as even as can be.

    No clip is dropped, and no last batch of one clip is left over, of which batch normalisation could take no variance.
    """
    return np.array_split(indices, -(-len(indices) // batch_size))
