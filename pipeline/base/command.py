"""How a command ends when the user has made a mistake: with one line that says what is wrong, and status 1.

    if __name__ == "__main__":
        run_command(main)

Four kinds of exception count as the user's mistake, or as his machine's:

- `UserError` and what is derived from it: raised by the project itself, with a message that names the file, row or column,
  and the cure;
- `OSError`: a file that is missing, is a folder, may not be read, cannot be written ...
- a full disk, under whatever name a library tells of it;
- `MemoryError`, or what stands for it in torch.

Everything else is a mistake of the program and keeps its traceback.
"""

import errno
import os
from collections.abc import Callable

FULL = os.strerror(errno.ENOSPC)
NO_MEMORY = ("can't allocate memory", "out of memory")
CURES = {
    errno.ENOSPC: "make room and run again",
    errno.EDQUOT: "make room and run again",
    errno.EROFS: "make it writable, or choose another folder",
    errno.EACCES: "allow it, or choose another folder",
}


class UserError(ValueError):
    """What was given cannot be used; the message names file, row or column, and the cure."""


def run_command(main: Callable[[], None]) -> None:
    """Call `main`; the user's mistakes (see above) become the line `error: ...` on standard error and status 1."""
    try:
        main()
    except Exception as error:
        if not isinstance(error, (UserError, OSError)) and not is_of_the_machine(error):
            raise
        raise SystemExit(f"error: {printable(message_of(error))}") from error


def printable(text: str) -> str:
    """A text that may quote any file, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def is_of_the_machine(error: Exception) -> bool:
    """Whether an exception tells of the machine, its disk or its memory, and not of what was being worked on."""
    said = str(error)
    return isinstance(error, (OSError, MemoryError)) or FULL in said or any(words in said for words in NO_MEMORY)


def message_of(error: Exception) -> str:
    """What an exception says, in one line, without Python's number of an operating system's error, and the cure."""
    if isinstance(error, OSError) and error.strerror:
        where = [str(error.filename)] if error.filename is not None else []
        cure = f"; {CURES[error.errno]}" if error.errno in CURES else ""
        return ": ".join([*where, error.strerror]) + cure
    if isinstance(error, UserError):
        return str(error)
    said = " ".join(str(error).split())
    if FULL in said:
        return f"{said.removesuffix('; run again')}; {CURES[errno.ENOSPC]}"
    if isinstance(error, OSError):
        return said
    return f"not enough memory{f' ({said})' if said else ''}; give fewer --cores, or more memory"
