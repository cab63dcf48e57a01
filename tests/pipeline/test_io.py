"""Writing: a result is whole or absent, and what went wrong with the disk is said with the result's name."""

import errno
import os

import h5py
import numpy as np
import pytest

from pipeline.base.hdf5 import new_hdf5
from pipeline.base.io import replacing, save_array


def test_an_error_of_the_disk_names_the_result(tmp_path):
    with pytest.raises(OSError, match="No space left") as raised, replacing(tmp_path / "a.csv") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.filename == str(tmp_path / "a.csv") and not list(tmp_path.iterdir())


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "a.csv"):
        (tmp_path / "b.csv").read_text()
    assert raised.value.filename == str(tmp_path / "b.csv")


@pytest.mark.parametrize("room", [0, 5_000, 60_000])
def test_hdf5_on_a_full_disk_ends_with_an_error_that_names_the_file(tmp_path, monkeypatch, room):
    import pipeline.base.hdf5 as module

    class Full(module._Writer):
        """A file for which the disk has room for so many bytes."""

        def write(self, data):
            if self.tell() + len(memoryview(data).cast("B")) > room:
                self.error = self.error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(module, "_Writer", Full)
    with pytest.raises(OSError, match="No space left") as raised, new_hdf5(tmp_path / "a.h5") as file:
        for number in range(20):
            file[f"clip {number}/values"] = np.ones((100, 9))
            file[f"clip {number}/values"][:] = number
    assert raised.value.filename == str(tmp_path / "a.h5") and not list(tmp_path.iterdir())


def test_hdf5_is_read_back(tmp_path):
    with new_hdf5(tmp_path / "a.h5", track_order=True) as file:
        for name in "cab":
            file[name] = np.arange(100_000)
        file["a"][:5] = file["b"][5:10]
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["c", "a", "b"] and file["a"][:7].tolist() == [5, 6, 7, 8, 9, 5, 6]


def test_an_array_is_saved_as_numpy_does(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    save_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
