"""Frames that stay in dataset.h5 and are read as batches need them: those of a large corpus would fill the memory."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from pipeline.base.command import UserError


class FramesInFile:
    """The frames of a modality, where they lie in the file.

    Parameters
    ----------
    path : Path
        dataset.h5.
    frames : h5py.Dataset
        float32 [shape=(all frames, D)], one block of the file.
    scale : function
        Applied, in place, to the frames of each clip as they are read.
    """

    def __init__(self, path: Path, frames: h5py.Dataset, scale: Callable[[np.ndarray], np.ndarray]):
        self.path, self.shape, self.scale = path, frames.shape, scale
        self.begin = frames.id.get_offset()
        self.file = os.open(path, os.O_RDONLY)

    def __del__(self):
        os.close(self.file)

    def padded(self, starts: np.ndarray, lengths: np.ndarray, longest: int) -> torch.Tensor:
        """Clips that begin at the frames `starts` [shape=(B,)], padded with zeros: [shape=(B, longest, D)].

        Raises
        ------
        UserError
            If the file ends before them: another program writes to it.
        """
        padded = np.zeros((len(starts), longest, self.shape[1]), np.float32)
        for clip, start, length in zip(padded, starts, lengths, strict=True):
            self._read(clip[:length], int(start))
        return torch.from_numpy(padded)

    def _read(self, frames: np.ndarray, start: int) -> None:
        """Fill `frames` from frame `start` on; many processes may read at once, as none moves the file's position."""
        place, left = self.begin + start * frames.strides[0], memoryview(frames).cast("B")
        while left:
            count = os.preadv(self.file, [left], place)
            if not count:
                raise UserError(f"{self.path}: it ends before its last frame: make the data set again")
            place, left = place + count, left[count:]
        self.scale(frames)


def can_stay_in_file(frames: h5py.Dataset) -> bool:
    """Whether frames are one uncompressed block of the file, in this machine's order of bytes."""
    return frames.id.get_offset() is not None and frames.dtype == np.float32
