"""Writing without half-written results: a temporary name first, the real name when all went well."""

import contextlib
import io
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HOST = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:32]  # this machine, in the names of partial files


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends without an error.

    The block may create a file or a folder there; whatever stood at `path` before is replaced. After an error the
    temporary file or folder is removed and `path` is as it was; an error of the disk that names no file, or the temporary
    one, names `path`.

    Parameters
    ----------
    path : str or Path
        Where the result shall be. Missing parent folders are made.

    Yields
    ------
    Path
        A name in the same folder with the same suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{HOST}.{os.getpid()}.partial{path.suffix}")
    remove(temporary)
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and str(error.filename or temporary) == str(temporary):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        remove(temporary)


def save_array(path: Path, array: np.ndarray) -> None:
    """`np.save`, which of a full disk says neither that nor where."""
    content = io.BytesIO()
    np.save(content, array)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def writer_of(path: Path) -> int | None:
    """Number of the process of this machine that writes, or wrote, a partial file; None of any other file."""
    found = re.search(rf"\.{HOST}\.(\d+)\.partial(\.[^.]+)?$", path.name)
    return int(found[1]) if path.name.startswith(".") and found else None


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
