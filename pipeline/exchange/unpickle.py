"""Read a pickle of arrays, texts and numbers without trusting it.

A pickle is a program: it names functions, and the reader calls them. Here every (module, name) that the format of
feature files needs is on the list `ALLOWED`, compared as a whole, and stands for a function of this file; nothing that a
pickle names is ever looked up or imported. numpy's own functions are not called with what the file says either, because
`dtype.__setstate__` takes any flags: a dtype of objects that denies it would read bytes of the file as addresses.
"""

import copyreg
import math
import os
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.base.command import UserError

TYPES = re.compile(r"[biufcSUO]\d{0,9}")  # truth values, numbers, byte strings, texts, objects; no records or dates


class UnsafePickleError(UserError):
    """The file holds something else than arrays, texts and numbers, or is damaged; the message names it."""


class _Type:
    """What stands for a numpy dtype while the file is read."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        name = _text(name)
        if not isinstance(name, str) or not TYPES.fullmatch(name) or not np.dtype(name).itemsize:
            raise UnsafePickleError(f"a dtype {name!r:.40}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags ...): only the byte order is taken over.
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise UnsafePickleError("a dtype with fields or an unknown state")
        order = _text(state[1])
        if order not in ("<", ">", "|", "="):
            raise UnsafePickleError("a dtype with an unknown byte order")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """An array that checks the state a file gives it."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise UnsafePickleError("an array with an unknown state")
        _, shape, kind, fortran, data = state
        dtype, count = _dtype_of(kind), _count_of(shape)
        if dtype.kind != "O":
            _check_data(data, dtype, count)
        elif not isinstance(data, list) or len(data) != count:
            raise UnsafePickleError("an array of objects whose data do not fit its shape")
        super().__setstate__((1, shape, dtype, bool(fortran), data))


class _Recipe:
    """A function that a pickle may call, and whose attributes it cannot set."""

    __slots__ = ("make",)

    def __init__(self, make: Callable) -> None:
        self.make = make

    def __call__(self, *arguments: object) -> object:
        return self.make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise UnsafePickleError("a state for a function")


def _text(name: object) -> object:
    """The byte strings of Python 2 as text."""
    return name.decode("latin1") if isinstance(name, bytes) else name


def _dtype_of(kind: object) -> np.dtype:
    if not isinstance(kind, _Type):
        raise UnsafePickleError(f"{type(kind).__name__} in place of a dtype")
    return kind.dtype


def _count_of(shape: object) -> int:
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise UnsafePickleError("an array whose shape is not made of whole numbers")
    return math.prod(shape)


def _check_data(data: object, dtype: np.dtype, count: int) -> None:
    if dtype.kind == "O" or not isinstance(data, bytes | bytearray) or len(data) != count * dtype.itemsize:
        raise UnsafePickleError(f"an array of {dtype} whose data do not fit its shape")
    if dtype.kind == "U" and (np.frombuffer(data, f"{dtype.byteorder}u4") > 0x10FFFF).any():
        raise UnsafePickleError("texts that are no Unicode")


def _empty_array(*_: object) -> np.ndarray:
    return _Array((0,), np.int8)


def _array_of_buffer(buffer: object, kind: object, shape: object, order: object) -> np.ndarray:
    dtype, count = _dtype_of(kind), _count_of(shape)
    _check_data(buffer, dtype, count)
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if order == "F" else "C").view(_Array)


def _scalar(kind: object, data: object) -> object:
    return _array_of_buffer(data, kind, (1,), "C")[0]


def _bytes(text: object = "", encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise UnsafePickleError(f"a text in the encoding {encoding!r:.40}")
    return text.encode("latin1")


def _no_ndarray(*_: object) -> None:
    raise UnsafePickleError("a call of numpy.ndarray")


ALLOWED: dict[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): _no_ndarray,  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _bytes,  # how protocol 2 writes the bytes of an array
    ("__builtin__", "bytes"): _bytes,  # and of an empty one
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = _array_of_buffer


def _keys_as_text(content: object) -> object:
    """A dict of dicts with byte strings among its keys as one with texts, all else as it is."""
    if not isinstance(content, dict):
        return content
    return {_text(key): _keys_as_text(value) for key, value in content.items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        make = ALLOWED.get((module, name))
        if make is None:
            raise UnsafePickleError(f"'{module}.{name}'")
        return _Recipe(make)

    def persistent_load(self, identity: object) -> None:
        raise UnsafePickleError("a persistent id")


def _check_sizes(file: BinaryIO, size: int) -> None:
    """Refuse a file that says of itself that it is larger than it is: for a few bytes its reader would fill the memory."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "LONG_BINPUT") and argument > size:
            raise UnsafePickleError(f"a memo of {argument} things in {size} bytes")
    file.seek(0)


def read_pickle(path: str | Path) -> object:
    """Read a pickle of dicts, lists, texts, numbers and numpy arrays, of protocol 0 to 5, also one written by Python 2.

    What Python 2 calls `str` are byte strings here, but for the keys of dicts.

    Parameters
    ----------
    path : str or Path
        The file. It is read as a whole: memory is needed for as much as it holds.

    Returns
    -------
    object
        What the file holds; its arrays are of a subclass of np.ndarray, `np.asarray` gives plain ones.

    Raises
    ------
    UnsafePickleError
        If the file names anything that is not in `ALLOWED` (nothing of it has run then), or is damaged.
    """
    # A code that some pickle has used before is answered from this cache, without find_class.
    copyreg.clear_extension_cache()
    with open(path, "rb") as file:
        try:
            _check_sizes(file, os.fstat(file.fileno()).st_size)
            return _keys_as_text(_Unpickler(file, encoding="bytes").load())
        except UnsafePickleError as error:
            raise UnsafePickleError(
                f"{path}: refused, the file holds {error}; a feature file holds only numpy arrays, lists, texts and numbers: "
                "do not use this file, or write it again with those alone"
            ) from error
        except OSError:
            raise
        # Python's reader answers a damaged file with whatever exception its opcodes happen to run into.
        except Exception as error:
            raise UnsafePickleError(
                f"{path}: not a readable pickle ({type(error).__name__}: {error}); get the file again"
            ) from error
