"""F0 and voicing of both trackers on recordings of people, against Praat and DIO; the recordings are the user's.

    .venv/bin/python -m benchmarks.real_voices --recordings <folder> [--noise <folder>] [--seconds 20]

The reference are the frames on which Praat's autocorrelation (Boersma 1993) and WORLD's DIO with StoneMask (Morise et al.
2016) agree: both unvoiced, or both voiced within 20 %. Where a laryngograph's F0 lies beside a recording
(`<name>.f0ref`: Hz, 0 where unvoiced, a line every 15 ms from 0 s on), that is the reference instead. A table
`recordings.csv` in the folder may sort the recordings: its column `file` names them, each other column (`half`,
`language`, `sex` ...) is one way to group them, and what it does not name is left out. Without it they are grouped by
median F0, men up to 165 Hz and women above. Each recording is measured again with white noise, and with each file of the
folder `--noise`, at 10 dB; its reference stays that of the clean recording. What is needed: requirements-benchmarks.txt.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import parselmouth
import pyworld

from features.pitch import HOP_LENGTH, SAMPLE_RATE, TRACKERS

F0_MIN, F0_MAX = 65.0, 600.0
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
GROSS = 0.2  # a pitch further off than this part of the truth is a gross error
LARYNGOGRAPH_STEP = 0.015  # seconds
SIGNAL_TO_NOISE = 10  # dB
HIGHEST_MAN = 165.0  # Hz


@dataclass(frozen=True)
class Recording:
    """Sound at 22,050 Hz, F0 of the reference at each frame (Hz, 0 where unvoiced), and on which frames it is sure."""

    path: Path
    samples: np.ndarray
    f0: np.ndarray
    sure: np.ndarray


def praat(samples: np.ndarray) -> np.ndarray:
    """Praat's F0 at our frames, Hz, 0 where unvoiced."""
    pitch = parselmouth.Sound(samples.astype(float), SAMPLE_RATE).to_pitch(pitch_floor=F0_MIN, pitch_ceiling=F0_MAX)
    return np.nan_to_num([pitch.get_value_at_time(time) for time in frame_times(samples)])


def dio(samples: np.ndarray) -> np.ndarray:
    """DIO's F0, refined by StoneMask, at our frames, Hz, 0 where unvoiced."""
    sound, period = samples.astype(float), 1000 * HOP_LENGTH / SAMPLE_RATE
    rough, times = pyworld.dio(sound, SAMPLE_RATE, f0_floor=F0_MIN, f0_ceil=F0_MAX, frame_period=period)
    f0 = pyworld.stonemask(sound, rough, times, SAMPLE_RATE)
    count = 1 + len(samples) // HOP_LENGTH
    return np.pad(f0, (0, max(0, count - len(f0))))[:count]


def frame_times(samples: np.ndarray) -> np.ndarray:
    """Seconds of the middle of each frame."""
    return np.arange(1 + len(samples) // HOP_LENGTH) * HOP_LENGTH / SAMPLE_RATE


def load(path: Path, seconds: float) -> Recording:
    """A recording with its reference."""
    samples, _ = librosa.load(path, sr=SAMPLE_RATE, mono=True, duration=seconds)
    measured = path.with_suffix(".f0ref")
    if measured.exists():
        values = np.loadtxt(measured, ndmin=1)
        place = np.rint(frame_times(samples) / LARYNGOGRAPH_STEP).astype(int)
        return Recording(path, samples, values[np.minimum(place, len(values) - 1)], place < len(values))
    first, second = praat(samples), dio(samples)
    near = np.abs(first - second) <= GROSS * second
    return Recording(path, samples, first, ((first > 0) == (second > 0)) & near)


def count_errors(found: np.ndarray, recording: Recording) -> pd.Series:
    """What the rates of the table are made of, as numbers of frames, and the sum of the fine errors in cents."""
    truth, found = recording.f0[recording.sure], found[recording.sure]
    both = (truth > 0) & (found > 0)
    ratio = found[both] / truth[both]
    gross = np.abs(ratio - 1) > GROSS
    octave = np.abs(np.abs(np.log2(ratio)) - 1) < np.log2(1 + GROSS)
    return pd.Series(
        {
            "frames": len(truth),
            "wrong": np.sum((truth > 0) != (found > 0)),
            "unvoiced": np.sum(truth == 0),
            "called voiced": np.sum((truth == 0) & (found > 0)),
            "voiced": np.sum(truth > 0),
            "missed": np.sum((truth > 0) & (found == 0)),
            "pitched": len(ratio),
            "gross": gross.sum(),
            "octave": octave.sum(),
            "cents": np.abs(1200 * np.log2(ratio[~gross])).sum(),
        },
        dtype=float,
    )


def print_row(what: str, total: pd.Series, recordings: int) -> None:
    """One row of the table."""
    rates = [
        total["wrong"] / total["frames"],
        total["called voiced"] / max(total["unvoiced"], 1),
        total["missed"] / max(total["voiced"], 1),
        total["gross"] / max(total["pitched"], 1),
    ]
    cents = total["cents"] / max(total["pitched"] - total["gross"], 1)
    row = "".join(f"{rate:12.3f}" for rate in rates)
    print(f"{what:58.58s}{recordings:5d}{total['frames']:8.0f}{row}{total['octave']:8.0f}{cents:7.0f}", flush=True)


def add_noise(samples: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The sound with noise, repeated as often as needed, at 10 dB below it."""
    noise = np.resize(noise, len(samples))
    gain = np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-SIGNAL_TO_NOISE / 20)
    return (samples + gain * noise).astype(np.float32)


def groups_of(recordings: list[Recording], table: pd.DataFrame | None, combined: bool) -> Iterator[tuple[str, list[Recording]]]:
    """Name and members of every group; combined: of all columns together as well."""
    yield "all", recordings
    if table is None:
        medians = [np.median(one.f0[one.sure & (one.f0 > 0)]) if (one.sure & (one.f0 > 0)).any() else 0 for one in recordings]
        yield "men", [one for one, median in zip(recordings, medians, strict=True) if 0 < median <= HIGHEST_MAN]
        yield "women", [one for one, median in zip(recordings, medians, strict=True) if median > HIGHEST_MAN]
        return
    columns = [column for column in table.columns if column != "file"]
    for keys in [[column] for column in columns] + ([columns] if combined and len(columns) > 1 else []):
        for names, rows in table.groupby(keys):
            yield ", ".join(names), [one for one in recordings if one.path.name in set(rows["file"])]


def measure(track: Callable, recordings: list[Recording], noise: np.ndarray | None = None) -> dict[Path, pd.Series]:
    """Errors of a tracker for each recording, with noise if there is some."""
    sounds = [one.samples if noise is None else add_noise(one.samples, noise) for one in recordings]
    return {one.path: count_errors(track(sound, F0_MIN, F0_MAX), one) for one, sound in zip(recordings, sounds, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--noise", type=Path, help="folder of noises and music")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each recording, from its start")
    arguments = parser.parse_args()
    list_of = arguments.recordings / "recordings.csv"
    table = pd.read_csv(list_of, dtype=str) if list_of.exists() else None
    files = sorted(path for path in arguments.recordings.glob("*") if path.suffix.lower() in SOUNDS)
    if table is not None:
        if missing := sorted(set(table["file"]) - {path.name for path in files}):
            parser.error(f"{list_of}: no such recording beside it: {', '.join(missing)}")
        files = [path for path in files if path.name in set(table["file"])]
    if not files:
        parser.error(f"{arguments.recordings}: no recordings ({', '.join(SOUNDS)})")
    recordings = [load(path, arguments.seconds) for path in files]
    noises = {"white noise": np.random.default_rng(0).normal(size=SAMPLE_RATE * 10)}
    if arguments.noise:
        paths = sorted(path for path in arguments.noise.iterdir() if path.suffix.lower() in SOUNDS)
        noises |= {path.name: librosa.load(path, sr=SAMPLE_RATE, mono=True, duration=30)[0] for path in paths}

    heads = "".join(f"{head:>12s}" for head in ("voicing", "u called v", "v missed", "gross"))
    for name, track in TRACKERS.items():
        print(f"\n{name:58s}{'n':>5s}{'frames':>8s}{heads}{'octaves':>8s}{'cents':>7s}")
        clean = measure(track, recordings)
        for path, total in clean.items():
            print_row(path.name, total, 1)
        conditions = {"": clean} | {f" + {what}": measure(track, recordings, noise) for what, noise in noises.items()}
        for condition, errors in conditions.items():
            for group, members in groups_of(recordings, table, combined=not condition):
                if members:
                    print_row(group + condition, sum(errors[one.path] for one in members), len(members))


if __name__ == "__main__":
    main()
