"""Results of earlier jobs, kept so that a job of many parts makes anew only the parts that changed.

Snakemake removes the outputs of a job before it runs again, all of them. Beside its outputs a job therefore keeps each part
under another name, as hard links, which take no room, with a key: a digest of all that its bytes depend on.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from features.hashing import sha256_of
from pipeline.base.io import remove, replacing

KEY = "key.json"


def key_of(values: dict, files: Iterable[str | Path]) -> str:
    """Digest of plain values and of the contents of files."""
    parts = [json.dumps(values, sort_keys=True, ensure_ascii=False, default=str), *map(sha256_of, files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def keep(folder: Path, kept: Path, key: str) -> None:
    """Keep a folder of files that was made with `key`."""
    names = sorted(path.name for path in folder.iterdir())
    with replacing(kept) as temporary:
        temporary.mkdir()
        for name in names:
            link(folder / name, temporary / name)
        content = {"key": key, "files": {name: sha256_of(folder / name) for name in names}}
        (temporary / KEY).write_text(json.dumps(content), encoding="utf-8")


def take(kept: Path, folder: Path, key: str) -> bool:
    """Put what was kept with `key` at `folder`; False if there is nothing, or if it is no longer what was kept."""
    try:
        content = json.loads((kept / KEY).read_text(encoding="utf-8"))
        if content["key"] != key or any(sha256_of(kept / name) != digest for name, digest in content["files"].items()):
            return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name in content["files"]:
            link(kept / name, temporary / name)
    return True


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where there are none."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        remove(target)
        shutil.copyfile(source, target)
