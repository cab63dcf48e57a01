"""A command ends a user's mistake with one line and status 1; a mistake of the program keeps its traceback."""

import errno
import subprocess
import sys

import pytest

from pipeline.base.command import UserError, run_command


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("a.csv line 3: label: 'x'; give a number"), "error: a.csv line 3: label: 'x'; give a number"),
        (UserError("'a\x1b[2J\0b'\nline 2"), "error: 'a\\x1b[2J\\x00b'\nline 2"),
        (FileNotFoundError(2, "No such file or directory", "甲 1/a.csv"), "error: 甲 1/a.csv: No such file or directory"),
        (OSError("Unable to open file a.h5"), "error: Unable to open file a.h5"),
        (
            OSError(errno.ENOSPC, "No space left on device", "甲 1/a.h5"),
            "error: 甲 1/a.h5: No space left on device; make room and run again",
        ),
        (
            RuntimeError("a library failed:\n No space left on device"),
            "error: a library failed: No space left on device; make room and run again",
        ),
        (MemoryError(), "error: not enough memory; give fewer --cores, or more memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            "error: not enough memory (DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.); "
            "give fewer --cores, or more memory",
        ),
    ],
)
def test_a_mistake_of_the_user_becomes_one_line(error, said):
    with pytest.raises(SystemExit) as end:
        run_command(raising(error))
    assert end.value.code == said


def test_other_errors_keep_their_traceback():
    for error in (ValueError("operands could not be broadcast"), KeyError("x"), IndexError("y")):
        with pytest.raises(type(error)):
            run_command(raising(error))


def test_the_line_goes_to_standard_error_with_status_1():
    program = "from pipeline.base.command import run_command\ndef main():\n    open('no such.csv')\nrun_command(main)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: no such.csv: No such file or directory\n")
