"""What a run that was killed leaves behind, found and removed by the next one.

A run of the workflow notes itself in `.snakemake/runs/<host>.<process>.json` and takes the note away when it ends. A note
whose process is gone is that of a run that was killed, or that failed: partial files of its processes may lie in its folders,
and Snakemake's own lock may stand, which names no process and which Snakemake would have a person remove. Both go when no
other run can be alive in the folder. Whether a process lives is asked of the system, by number and start time; of another
host that cannot be asked, so its notes count as runs that live.
"""

import atexit
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline.base.command import UserError
from pipeline.base.io import HOST, remove, writer_of

NOTES = Path(".snakemake/runs")
LOCKS = Path(".snakemake/locks")


@dataclass(frozen=True)
class Note:
    """A run: host, process and its start (seconds since 1970), and the folders it writes to."""

    host: str
    process: int
    started: float
    folders: tuple[str, ...]

    @property
    def path(self) -> Path:
        return NOTES / f"{self.host}.{self.process}.json"

    @property
    def may_live(self) -> bool:
        return self.host != HOST or start_of(self.process) == self.started


def start_of(process: int) -> float | None:
    """When a process of this machine started; None if none of that number runs.

    A process that was killed keeps its number until its parent has asked for its end, in some containers for ever.
    """
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    except psutil.NoSuchProcess:
        return None


def read_notes() -> list[Note]:
    """All notes of the folder; one that was cut short while it was written tells nothing and is left out."""
    notes = []
    for path in sorted(NOTES.glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            notes.append(Note(values["host"], values["process"], values["started"], tuple(values["folders"])))
        except (ValueError, KeyError, FileNotFoundError):
            continue
    return notes


class ThisRun:
    """The note of this process. `failed` : keep it at the end, so that the next run looks for partial files."""

    def __init__(self, folders: Iterable[str]):
        own = psutil.Process()
        self.note = Note(HOST, own.pid, own.create_time(), tuple(dict.fromkeys(folders)))
        self.failed = False
        NOTES.mkdir(parents=True, exist_ok=True)
        self.note.path.write_text(json.dumps(asdict(self.note), ensure_ascii=False), encoding="utf-8")
        atexit.register(self.end)

    def end(self) -> None:
        if not self.failed:
            self.note.path.unlink(missing_ok=True)

    def clear_up(self) -> list[str]:
        """Remove what dead runs have left; returns lines about it, or about the runs that may be alive."""
        others = [note for note in read_notes() if note.path != self.note.path]
        alive = [note for note in others if note.may_live]
        if alive and any(LOCKS.glob("*.lock")):
            return [_line_about(note) for note in alive]
        dead = [note for note in others if not note.may_live]
        lines = []
        if dead and not alive:
            for lock in LOCKS.glob("*.lock"):
                remove(lock)
                lines = ["the lock of a run that was killed is removed"]
        folders = dict.fromkeys(folder for note in dead for folder in note.folders)
        lines += [f"removed {path}, left by a process that was killed" for path in remove_leftovers(folders)]
        for note in dead:
            note.path.unlink(missing_ok=True)
        return lines


def _line_about(note: Note) -> str:
    if note.host == HOST:
        return f"process {note.process} runs the workflow in this folder: wait for its end, or stop it"
    return (
        f"process {note.process} on the machine {note.host} may be running the workflow in this folder: wait for its end, or, "
        f"if it is gone, delete {note.path} and give --unlock once"
    )


def check_folders(folders: Iterable[str]) -> None:
    """See that results can be written before any are made.

    Raises
    ------
    UserError
        If one of the folders, or what it shall be made in, is no folder or cannot be written.
    """
    for folder in folders:
        found = next(path for path in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(path))
        if not found.is_dir():
            raise UserError(f"{found}: a file is in the place of the folder; move it away")
        if not os.access(found, os.W_OK | os.X_OK):
            raise UserError(f"{found}: the folder cannot be written; make it writable, or give another one by `pathvars`")


def remove_leftovers(folders: Iterable[str]) -> list[Path]:
    """Remove, anywhere in `folders`, partial files and folders of processes of this machine that are gone; returns them."""
    found = []
    for folder in folders:
        for path in sorted(Path(folder).rglob(".*.partial*")):
            process = writer_of(path)
            started = start_of(process) if process else None
            # A number that a later process got again: it cannot have written what is older than itself.
            if process and path.exists() and (started is None or started > path.stat().st_mtime + 1):
                remove(path)
                found.append(path)
    return found
