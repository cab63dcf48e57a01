"""The clips of one video as `pipeline.clips` has cut them: clips.csv, and the samples of a clip."""

import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.command import UserError

SAMPLE_RATE = 22050  # Hz, of the sound of every clip


@dataclass
class Clip:
    """One row of clips.csv."""

    clip_id: str
    video: str = ""
    audio: str = ""
    flags: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def flag(self, name: str, message: str) -> None:
        self.flags.append(name)
        self.messages.append(message)


def read_clips(folder: str | Path) -> list[Clip]:
    """Read clips.csv of a clips folder, in order."""
    table = pd.read_csv(Path(folder) / "clips.csv", dtype=str, keep_default_na=False)
    return [
        Clip(row.clip_id, row.video, row.audio, [flag for flag in row.flags.split(";") if flag], [row.message])
        for row in table.itertuples()
    ]


def read_wav(path: Path) -> np.ndarray:
    """Samples of a 22,050 Hz mono 16-bit file, float32 in [-1, 1).

    Raises
    ------
    ValueError
        If the file has another rate, width or number of channels.
    """
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, SAMPLE_RATE):
            raise UserError(f"{path}: not a {SAMPLE_RATE} Hz mono 16-bit file; make the clips again")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
