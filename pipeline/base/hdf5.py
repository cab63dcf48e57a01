"""HDF5 files that are written whole or not at all, on a disk that may be full."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from pipeline.base.command import UserError
from pipeline.base.io import replacing


class _Writer(io.FileIO):
    """A file that takes all that HDF5 gives it, and keeps the first error of the disk for the end.

    When a write fails HDF5 loses count of what it holds and, at the latest when the file is closed, kills the process without
    a word: it must never be told.
    """

    error: OSError | None = None

    def write(self, data: memoryview) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and not self.error:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        self.seek(len(left), os.SEEK_CUR)
        return size

    def readinto(self, buffer: memoryview) -> int:
        view = memoryview(buffer).cast("B")
        count = super().readinto(view)
        view[count:] = bytes(len(view) - count)  # what could not be written before
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size


@contextlib.contextmanager
def new_hdf5(path: str | Path, **options) -> Iterator[h5py.File]:
    """An open HDF5 file under a temporary name that is renamed when the block ends well; `options` of `h5py.File`.

    Raises
    ------
    OSError
        If the file cannot be written; it names `path`.
    """
    with replacing(path) as temporary, _Writer(temporary, "w+") as raw:
        try:
            with h5py.File(raw, "w", **options) as file:
                yield file
        except Exception:
            if not raw.error:
                raise
        if raw.error:
            raise raw.error


def open_hdf5(path: str | Path) -> h5py.File:
    """An HDF5 file, open for reading. Raises UserError if it is none, FileNotFoundError if there is no file."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, os.strerror(error.errno), str(path)) from error
    except OSError as error:
        raise UserError(f"{path}: no HDF5 file, or a damaged one ({error}); make it again") from error
