"""Take the facial features of the clips of one video from OpenFace 2's CSV files, in place of computing them.

    python -m pipeline.openface_source --manifest data_manifest.csv --video-id video_0001 --csv openface/video_0001 \
        --output build/features/vision/video_0001.h5

The folder holds `<clip_id>.csv`, as `pipeline/openface_csv.py` and OpenFace's FeatureExtraction write them.  Columns are
matched by name, spaces around it do not count, and the numbers are kept as they are (float32), but for frames with
success 0, where OpenFace writes zeros: they become NaN.  The frame rate of the store is that of the timestamps.  Beside
`values` the store has per frame `success`, `confidence`, and `track`, the file's face_id, -1 where there is no face.

Flags: `no_features` (no CSV file, or one without rows) and `unreadable_csv` (not a table, or columns are missing), both
with no rows; `no_eye_landmarks` and `no_gaze_angles` (a file of an older OpenFace: NaN there); `several_faces` (one was
taken); `no_face`, `face_in_few_frames`; `features_cut_off` (fewer frames than the clip is long); `no_time_stamps` (they do
not rise, as in files made of single pictures).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from features.openface import COLUMNS, UNITS
from pipeline.base.command import UserError, run_command
from pipeline.base.store import ClipFeatures, StoreAttributes, write_store
from pipeline.sources.manifest_table import rows_of_video
from pipeline.sources.source import probe

LEADING = ["frame", "timestamp", "confidence", "success"]
# What older versions of OpenFace do not write; a file without it is still of use.
OPTIONAL = {
    "no_eye_landmarks": [name for name in COLUMNS if name.startswith("eye_lmk_")],
    "no_gaze_angles": ["gaze_angle_x", "gaze_angle_y"],
}
TIMESTAMP_ERROR = 0.0011  # s, of the difference of two timestamps in milliseconds
FEW_FRAMES = 0.5
FRAME_RATE = 30.0  # Hz
LARGEST_GAP = 0.1  # s, of a clip that may be missing without a word, or 2 % of it
MOST_FRAMES = 1_000_000  # an hour at 240 Hz, and more


class UnreadableFile(UserError):
    """A CSV file that cannot be used; the message says why, and the cure."""


@dataclass(frozen=True)
class Span:
    """From the first to the last frame of a clip: how many steps of one frame, and how many seconds."""

    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames per second, Hz."""
        return self.steps / max(self.seconds, TIMESTAMP_ERROR)

    @property
    def rates(self) -> tuple[float, float]:
        """The lowest and the highest frame rate, Hz, that the rounded timestamps allow."""
        shortest = self.seconds - TIMESTAMP_ERROR
        return self.steps / (self.seconds + TIMESTAMP_ERROR), self.steps / shortest if shortest > 0 else np.inf


def read_table(path: Path) -> pd.DataFrame:
    """The numbers of a CSV file of OpenFace, a row per frame and face, under clean column names.

    Raises
    ------
    UnreadableFile
        If it is not a table of numbers with the columns that every version of OpenFace writes.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline() + file.readline()
        form = {"sep": ";", "decimal": "," if "," in head else "."} if ";" in head else {}  # as spreadsheets save it
        table = pd.read_csv(path, na_values=["-nan(ind)", "nan(ind)"], skipinitialspace=True, encoding="utf-8-sig", **form)
    except (ValueError, OSError) as error:  # pandas' own errors, and those of the encoding, are ValueErrors
        raise UnreadableFile(f"{path} is no CSV file ({str(error).strip()}); run OpenFace again") from error
    table.columns = table.columns.str.strip()
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cells for names of the rows
        raise UnreadableFile(f"{path} has rows with more cells than it has columns; run OpenFace again")
    if not table.columns.is_unique:
        name = table.columns[table.columns.duplicated()][0]
        raise UnreadableFile(f"{path} has the column {name} twice; run OpenFace again")
    optional = {name for names in OPTIONAL.values() for name in names}
    missing = [name for name in (*LEADING, *COLUMNS) if name not in table and name not in optional]
    if missing:
        names = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise UnreadableFile(
            f"{path} lacks {len(missing)} columns ({names}); run OpenFace's FeatureExtraction on the video of the clip, "
            "without options that choose its output"
        )
    used = [name for name in (*LEADING, "face_id", *COLUMNS) if name in table]
    try:
        numbers = table[used].astype(np.float64)
    except ValueError as error:
        raise UnreadableFile(f"{path} has cells that are no numbers ({error}); run OpenFace again") from error
    if not np.isfinite(numbers[[name for name in (*LEADING, "face_id") if name in numbers]].to_numpy()).all():
        raise UnreadableFile(f"{path} has rows without frame, face_id, timestamp, confidence or success; run OpenFace again")
    if (numbers[[name for name in ("frame", "face_id") if name in numbers]] % 1 != 0).any(axis=None):
        raise UnreadableFile(f"{path} has a frame or face_id that is no whole number; run OpenFace again")
    if np.ptp(numbers["frame"]) > MOST_FRAMES or numbers.abs().get("face_id", numbers["frame"]).max() > MOST_FRAMES:
        raise UnreadableFile(f"{path} has numbers of frames or faces beyond {MOST_FRAMES}; run OpenFace again")
    unknown = [name for name in table.columns if name not in used]
    if unknown:
        print(f"{path}: columns left aside, which are not of OpenFace 2: {', '.join(unknown)}")
    return numbers.replace([np.inf, -np.inf], np.nan)


def longest_face(table: pd.DataFrame) -> int:
    """The face_id of the face that is seen longest, every frame counted by its confidence."""
    seen = table["confidence"] * (table["success"] == 1)
    return int(seen.groupby(table["face_id"]).sum().idxmax())


def expected_seconds(row: pd.Series) -> float:
    """How long a clip of the manifest is, s; NaN if nothing tells it."""
    if not pd.isna(row["start"]):
        return row["end"] - row["start"]
    picture = probe(row["path"]).picture if row["path"] and Path(row["path"]).is_file() else None
    return picture.last - picture.first if picture else np.nan


def clip_features(path: Path, where: str, seconds: float) -> tuple[ClipFeatures, Span | None]:
    """Features, flags and message of a clip, and its span if there is more than one frame and its time stamps rise.

    Parameters
    ----------
    path : Path, of its CSV file
    where : str, video and clip, for the message
    seconds : float, how long the clip is, or NaN
    """
    if not path.is_file():
        cure = "run OpenFace on the clip and put the file there, or leave the clip out of the manifest"
        return nothing("no_features", f"{where}: there is no {path}; {cure}"), None
    try:
        table = read_table(path)
        if table.empty:
            return nothing("no_features", f"{where}: {path} has no rows; run OpenFace on the clip again"), None
        return one_face(table, path, where, seconds)
    except UnreadableFile as error:
        return nothing("unreadable_csv", f"{where}: {error}"), None


def nothing(flag: str, message: str) -> ClipFeatures:
    """A clip without rows."""
    extras = {"success": np.zeros(0, bool), "confidence": np.zeros(0, np.float32), "track": np.zeros(0, np.int16)}
    return ClipFeatures(np.zeros((0, len(COLUMNS)), np.float32), extras, [flag], message)


def one_face(table: pd.DataFrame, path: Path, where: str, seconds: float) -> tuple[ClipFeatures, Span | None]:
    """Features and span of a file with rows; a frame in which the face taken has no row becomes one without a face."""
    remarks = []
    table = table.assign(face_id=table.get("face_id", 0))
    first, last = table["frame"].idxmin(), table["frame"].idxmax()
    start, steps = int(table["frame"][first]), int(table["frame"][last] - table["frame"][first])
    span = None
    if (np.diff(table.drop_duplicates("frame").sort_values("frame")["timestamp"]) <= 0).any():
        remarks.append(
            ("no_time_stamps", "the time stamps of its frames do not rise; run OpenFace on a video, not on pictures")
        )
    elif steps:
        span = Span(steps, float(table["timestamp"][last] - table["timestamp"][first]))
    covered = (steps + 1) / (span.rate if span else FRAME_RATE)
    if covered < seconds - max(LARGEST_GAP, 0.02 * seconds):
        message = f"{path} covers {covered:.2f} of {seconds:.2f} s; run OpenFace on the whole clip"
        remarks.append(("features_cut_off", message))
    if table["face_id"].nunique() > 1:
        taken = longest_face(table)
        counts = ", ".join(f"face_id {face:g}: {count} rows" for face, count in table["face_id"].value_counts().items())
        remarks.append(("several_faces", f"several faces ({counts}), face_id {taken} was taken; check that it is the speaker"))
        table = table[table["face_id"] == taken]
    rows = table["frame"].to_numpy().astype(int) - start
    if len(np.unique(rows)) < len(rows):
        raise UnreadableFile(f"{path} has several rows for one frame and face; run OpenFace again")

    success = np.zeros(steps + 1, bool)
    confidence = np.zeros(steps + 1, np.float32)
    values = np.full((steps + 1, len(COLUMNS)), np.nan, np.float32)
    success[rows], confidence[rows] = table["success"] == 1, table["confidence"]
    values[rows] = table.reindex(columns=COLUMNS)
    values[~success] = np.nan
    track = np.where(success, table["face_id"].iloc[0], -1).astype(np.int16)

    for flag, names in OPTIONAL.items():
        lacking = [name for name in names if name not in table]
        if lacking:
            remarks.append(
                (flag, f"{len(lacking)} columns are not in the file and NaN ({lacking[0]} ...); run OpenFace 2 for them")
            )
    seen = int(success.sum())
    if seen == 0:
        remarks.append(("no_face", f"OpenFace found no face in {steps + 1} frames; check that the clip shows a person"))
    elif seen < FEW_FRAMES * (steps + 1):
        remarks.append(("face_in_few_frames", f"a face in only {seen} of {steps + 1} frames; check what the clip shows"))
    flags, message = [flag for flag, _ in remarks], "; ".join(text for _, text in remarks)
    extras = {"success": success, "confidence": confidence, "track": track}
    return ClipFeatures(values, extras, flags, f"{where}: {message}" if remarks else ""), span


def frame_rate_of(spans: dict[str, Span]) -> float:
    """The frame rate, Hz, that the clips of a video share; a whole number where the timestamps allow it.

    Without a clip of several frames it is that of the clips that `pipeline.clips` cuts.

    Raises
    ------
    UserError
        If they do not share one.
    """
    if not spans:
        return FRAME_RATE
    rates = [span.rates for span in spans.values()]
    lowest, highest = max(low for low, _ in rates), min(high for _, high in rates)
    if lowest > highest:
        clips: dict[str, list[str]] = {}
        for clip_id, span in spans.items():
            clips.setdefault(f"{span.rate:.3g} Hz", []).append(clip_id)
        listed = "; ".join(f"{rate}: {', '.join(clip_ids)}" for rate, clip_ids in clips.items())
        raise UserError(f"clips of different frame rate ({listed}); bring their videos to one rate and run OpenFace again")
    rate = sum(span.steps for span in spans.values()) / max(sum(span.seconds for span in spans.values()), TIMESTAMP_ERROR)
    return float(round(rate)) if lowest <= round(rate) <= highest else round(rate, 3)


def extract(rows: pd.DataFrame, folder: Path, output: Path) -> None:
    """Write the vision store of the clips of one video.

    Parameters
    ----------
    rows : pd.DataFrame, the rows of the video in the manifest
    folder : Path, with a CSV file per clip
    output : Path

    Raises
    ------
    UserError
        If the clips differ in their frame rate.
    """
    video_id = rows["video_id"].iloc[0]
    clips, spans = {}, {}
    for _, row in tqdm(rows.iterrows(), desc=f"vision {video_id}", unit="clip", total=len(rows)):
        clip_id = row["clip_id"]
        seconds = expected_seconds(row)
        clips[clip_id], span = clip_features(folder / f"{clip_id}.csv", f"{video_id}/{clip_id}", seconds)
        if clips[clip_id].message:
            print(clips[clip_id].message)
        if span:
            spans[clip_id] = span
    try:
        frame_rate = frame_rate_of(spans)
    except UserError as error:
        raise UserError(f"video {video_id}: {error}") from error
    print(f"{video_id}: {len(spans)} of {len(clips)} clips with frames, {frame_rate:g} Hz")
    attributes = StoreAttributes(COLUMNS, UNITS, frame_rate, "OpenFace 2, from CSV files")
    write_store(output, clips.items(), attributes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--csv", type=Path, required=True, help="folder with <clip_id>.csv")
    parser.add_argument("--output", type=Path, required=True, help="feature file (HDF5) to write")
    arguments = parser.parse_args()
    extract(rows_of_video(arguments.manifest, arguments.video_id), arguments.csv, arguments.output)


if __name__ == "__main__":
    run_command(main)
