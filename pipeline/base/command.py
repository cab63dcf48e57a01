"""How a command ends when the user has made a mistake: with one line that says what is wrong, and status 1.

    if __name__ == "__main__":
        run_command(main)

Two kinds of exception count as the user's mistake:

- `UserError` and what is derived from it: raised by the project itself, with a message that names the file, row or column,
  and the cure;
- `OSError`: a file that is missing, is a folder, may not be read, cannot be written ...

Everything else is a mistake of the program and keeps its traceback.
"""

from collections.abc import Callable


class UserError(ValueError):
    """What was given cannot be used; the message names file, row or column, and the cure."""


def run_command(main: Callable[[], None]) -> None:
    """Call `main`; the user's mistakes (see above) become the line `error: ...` on standard error and status 1."""
    try:
        main()
    except (UserError, OSError) as error:
        raise SystemExit(f"error: {message_of(error)}") from error


def message_of(error: Exception) -> str:
    """What an exception says, without Python's number of an operating system's error."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
