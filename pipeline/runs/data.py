"""dataset.h5 in memory, and batches of it.

dataset.h5 holds all frames of a modality in one array with offsets; a batch is padded to the longest of its own clips.
Audio and vision are standardised with mean and standard deviation of the train split; text vectors stay as the encoder
gives them, since their scale is the same for all columns and means something.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import h5py
import numpy as np
import torch

from models.system import MODALITIES, TASKS, Batch, Sequences
from pipeline.base.command import UserError
from pipeline.base.store import open_dataset
from pipeline.runs.frames_in_file import FramesInFile, can_stay_in_file

STANDARDISED = ("audio", "vision")
LARGEST_IN_MEMORY = 2**30  # bytes of frames; CH-SIMS has a third of it
CLIPS_AT_ONCE = 256  # when only means are kept, frames are read in portions of so many clips
POOL = 512  # training clips among which those of similar length are put together


@dataclass(frozen=True)
class Dataset:
    """All clips of a corpus.

    video_id, clip_id, mode : lists of n strings. labels : {task: Tensor [shape=(n,)]}, NaN = absent.
    values : {modality: Tensor [shape=(all frames, D)], or FramesInFile}; offsets : {modality: Tensor [shape=(n + 1,)]}, where
    each clip's frames begin; of a modality read as means a clip has one frame. longest : frames of the longest clip, per
    modality. corpus : its name. label_range : smallest and largest label there can be. encoder : name of the text encoder.
    frames : to how many frames of each modality every batch is padded; None: to those of its own longest clip.
    tokens : None, or Tensor int64 [shape=(all tokens,)], the token ids; or their states [shape=(all tokens, H)].
    """

    video_id: list[str]
    clip_id: list[str]
    mode: list[str]
    labels: dict[str, torch.Tensor]
    values: dict[str, torch.Tensor | FramesInFile]
    offsets: dict[str, torch.Tensor]
    longest: dict[str, int]
    corpus: str
    label_range: tuple[float, float]
    encoder: str = ""
    tokens: torch.Tensor | None = None
    frames: dict[str, int] | None = None

    @property
    def widths(self) -> dict[str, int]:
        return {modality: self.values[modality].shape[1] for modality in MODALITIES}

    def split(self, mode: str) -> np.ndarray:
        """Indices of the clips of a split."""
        return np.flatnonzero(np.array(self.mode) == mode)

    def lengths(self, modality: str) -> np.ndarray:
        """Frames of each clip: [shape=(n,)]."""
        return self._lengths[modality]

    def longest_read(self, modality: str) -> int:
        """Frames of the longest clip: 1 of a modality that was read as means."""
        return int(self._lengths[modality].max())

    @cached_property
    def _lengths(self) -> dict[str, np.ndarray]:
        return {modality: offsets.diff().cpu().numpy() for modality, offsets in self.offsets.items()}

    def padded_to(self, frames: dict[str, int]) -> "Dataset":
        """The same clips, but every batch has so many frames of each modality; none of its clips may have more."""
        return replace(self, frames=frames)

    def batch(self, indices: np.ndarray | torch.Tensor) -> Batch:
        """The clips at `indices`, padded with zeros to the longest of them, or as `padded_to` said."""
        batch = {modality: self._padded(self.values[modality], modality, indices) for modality in MODALITIES}
        if self.tokens is not None:
            batch["tokens"] = self._padded(self.tokens, "text", indices)
        return batch

    def _padded(self, rows: torch.Tensor | FramesInFile, modality: str, indices: np.ndarray | torch.Tensor) -> Sequences:
        chosen = torch.as_tensor(indices, device=self.offsets[modality].device)
        start, end = self.offsets[modality][chosen], self.offsets[modality][chosen + 1]
        lengths = end - start
        longest = self.frames[modality] if self.frames else int(self.lengths(modality)[indices].max())
        if isinstance(rows, FramesInFile):
            return Sequences(rows.padded(start.numpy(), lengths.numpy(), longest), lengths)
        step = torch.arange(longest, device=rows.device)
        frames = torch.minimum(start[:, None] + step, end[:, None] - 1)
        padding = step >= lengths[:, None]
        values = rows[frames]
        if len(step) > 1:  # of clips with one frame, their mean, nothing is padding
            values.masked_fill_(padding if values.ndim == 2 else padding[..., None], 0)
        return Sequences(values, lengths)

    def batch_labels(self, indices: np.ndarray | torch.Tensor) -> dict[str, torch.Tensor]:
        """Labels of the clips at `indices`."""
        chosen = torch.as_tensor(indices, device=self.offsets["text"].device)
        return {task: labels[chosen] for task, labels in self.labels.items()}

    def with_token_states(self, encode: Callable[[Sequences], torch.Tensor]) -> "Dataset":
        """The data set with, in place of the token ids, the states that `encode` gives for them, computed once for all."""
        states = None
        with torch.no_grad():
            for chosen in even_batches(np.argsort(self.lengths("text"), kind="stable"), 32):
                tokens = self._padded(self.tokens, "text", chosen)
                found = encode(tokens)
                if states is None:
                    states = found.new_empty(len(self.tokens), found.shape[2])
                for row, clip in enumerate(chosen):
                    start, end = self.offsets["text"][clip], self.offsets["text"][clip + 1]
                    states[start:end] = found[row, : end - start]
        return replace(self, tokens=states)


def read_dataset(
    path: Path, device: torch.device, means: tuple[str, ...] = (), tokens: bool = False, in_memory: bool = True
) -> Dataset:
    """Read dataset.h5 onto `device`.

    Parameters
    ----------
    path : Path
    device : torch.device
    means : tuple of str
        Modalities of which the mean over time is enough: it is computed once, and a clip has one frame.
    tokens : bool
        Read the token ids too.
    in_memory : bool
        False: on a CPU, frames of more than `LARGEST_IN_MEMORY` in all stay in the file. Batches are the same.

    Raises
    ------
    UserError
        If a feature is not finite, a clip has no frame in some modality, or token ids are asked for and not there.
    """
    with open_dataset(path) as file:
        clips = {name: file["clips"][name].asstr()[:].tolist() for name in ("video_id", "clip_id", "mode")}
        labels = torch.from_numpy(file["labels"][:])
        values, offsets, longest = {}, {}, {}
        size = sum(file[modality]["values"].nbytes for modality in MODALITIES if modality not in means)
        may_stay = not in_memory and device.type == "cpu" and size > LARGEST_IN_MEMORY
        for modality in MODALITIES:
            group = file[modality]
            starts = group["offsets"][:].astype(np.int64)
            empty = np.flatnonzero(np.diff(starts) < 1)
            if empty.size:
                name = f"{clips['video_id'][empty[0]]}/{clips['clip_id'][empty[0]]}"
                raise UserError(f"{path}: {name} has no {modality} frame: make the data set again")
            longest[modality] = int(np.diff(starts).max())
            if modality in means:
                frames = np.concatenate([time_means(*portion) for portion in _portions(group, modality, starts, path)])
                starts = np.arange(len(starts), dtype=np.int64)
                values[modality] = torch.from_numpy(frames).to(device)
            elif may_stay and can_stay_in_file(group["values"]):
                for _ in _portions(group, modality, starts, path):  # all are looked at once
                    pass
                values[modality] = FramesInFile(path, group["values"], _scale(group, modality))
            else:
                values[modality] = torch.from_numpy(_frames(group, modality, 0, starts[-1], path)).to(device)
            offsets[modality] = torch.from_numpy(starts).to(device)
        if tokens and "token_ids" not in file["text"]:
            raise UserError(
                f"{path} has no token ids, but this system fine-tunes the text encoder: make the data set again, "
                "or import a feature file that has text_bert"
            )
        return Dataset(
            **clips,
            labels={task: labels[:, column].to(device) for column, task in enumerate(TASKS)},
            values=values,
            offsets=offsets,
            longest=longest,
            corpus=str(file.attrs["corpus"]),
            label_range=(float(file.attrs["label_low"]), float(file.attrs["label_high"])),
            encoder=str(file.attrs.get("encoder", "")),
            tokens=torch.from_numpy(file["text/token_ids"][:].astype(np.int64)).to(device) if tokens else None,
        )


def _frames(group: h5py.Group, modality: str, first: int, last: int, path: Path) -> np.ndarray:
    """Frames first ... last - 1 of a modality, standardised where it is to be."""
    frames = group["values"][first:last]
    # The sum is infinite or NaN if a single value is, and needs no array of its own.
    if not np.isfinite(frames.sum(dtype=np.float64)):
        raise UserError(f"{path}: {modality} features that are not finite: make the data set again")
    return _scale(group, modality)(frames)


def _scale(group: h5py.Group, modality: str) -> Callable[[np.ndarray], np.ndarray]:
    """What standardises frames in place, where they are to be."""
    if modality not in STANDARDISED:
        return lambda frames: frames
    return partial(standardise, mean=group["mean"][:], deviation=group["std"][:])


def _portions(group: h5py.Group, modality: str, starts: np.ndarray, path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of some clips at a time, and where each of these clips begins in them, with the end of the last."""
    for first in range(0, len(starts) - 1, CLIPS_AT_ONCE):
        own = starts[first : first + CLIPS_AT_ONCE + 1]
        yield _frames(group, modality, own[0], own[-1], path), own - own[0]


def time_means(frames: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Mean over the frames of each clip: [shape=(clips, D)]."""
    sums = np.add.reduceat(frames, starts[:-1], axis=0)
    return sums / np.diff(starts)[:, None].astype(np.float32)


def standardise(frames: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """(frames - mean) / deviation per column [shape=(frames, D)], in place; a column constant in train is only centred."""
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1.0)
    frames -= mean
    frames /= np.where(constant, 1.0, deviation)
    return frames


def even_batches(indices: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut `indices` into the fewest batches of at most `batch_size` clips, as even as can be.

    No clip is dropped. A batch of one clip, of which batch normalisation could take no variance, is made only if
    `batch_size` is 1 or there is no other clip: of pairs with one clip left over, three come together.
    """
    count = -(-len(indices) // batch_size)
    if batch_size > 1:
        count = min(count, max(len(indices) // 2, 1))
    return np.array_split(indices, count)


def similar_batches(indices: np.ndarray, batch_size: int, lengths: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """As `even_batches`, of clips of similar length, so that little of a batch is padding.

    The clips, in a random order, fall into pools of at most `POOL`; each pool is sorted by length and cut, and all batches
    are shuffled: which clips come together still changes from epoch to epoch.

    indices : in random order. lengths : frames of each clip of the corpus.
    """
    batches = []
    for pool in even_batches(indices, POOL):
        batches += even_batches(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    return [batches[i] for i in random.permutation(len(batches))]
