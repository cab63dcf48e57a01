"""Gaze of real people: of those who look into the lens, and beside what OpenFace recorded.

    python -m benchmarks.real_gaze FOLDER [--frames 400]

Every video and photograph in the folder (and in folders in it) shows one person, the largest face.  A video with a table
of OpenFace 2 of the same name beside it (`film.mp4`, `film.csv`) is compared with that, frame by frame; all others are
people who look into the lens, whose gaze is (0, 0) by definition.  Prints a table of each.  Where such pictures are
had: benchmarks/README.md.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.accuracy_report import markdown_table
from benchmarks.accuracy_speakers import single_threaded_models
from features.openface import block_slice
from features.vision import VisionModels, extract_vision
from pipeline.vision import read_frames

VIDEOS, PHOTOGRAPHS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".wmv"), (".jpg", ".jpeg", ".png", ".bmp", ".webp")
BAR = 5.0  # degrees, of the mean on either axis, before the lens


@dataclass(frozen=True)
class GazeOfFile:
    """What was measured on a file.

    name : str, of the file
    is_video : bool
    angles : np.ndarray [shape=(n, 2)], degrees, gaze_angle_x and _y of each of its frames; NaN where no face was found
    recorded : np.ndarray [shape=(n, 2)], the same of OpenFace, NaN where it had none; or None
    """

    name: str
    is_video: bool
    angles: np.ndarray
    recorded: np.ndarray | None

    @property
    def found(self) -> np.ndarray:
        """Angles [shape=(m, 2)] of the frames with a face."""
        return self.angles[np.isfinite(self.angles[:, 0])]


def measure_file(path: Path, models: VisionModels, most_frames: int) -> GazeOfFile:
    """Gaze in the first frames of a video, or in a photograph."""
    is_video = path.suffix.lower() in VIDEOS
    frames = islice(read_frames(path), most_frames) if is_video else photograph(path)
    angles = np.degrees(extract_vision(frames, models).values[:, block_slice("gaze_angle")])
    table = path.with_suffix(".csv")
    theirs = np.degrees(recorded(table, ["gaze_angle_x", "gaze_angle_y"], len(angles))) if table.is_file() else None
    return GazeOfFile(path.name, is_video, angles, theirs)


def photograph(path: Path) -> Iterator[np.ndarray]:
    """The picture of a file [shape=(h, w, 3), uint8], RGB; nothing if it cannot be read."""
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if picture is not None:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def recorded(path: Path, columns: list[str], count: int) -> np.ndarray:
    """Columns [shape=(count, c)] of OpenFace's table of the first frames of a video; NaN where it was not sure.

    Of several faces that of most rows is taken.

    Raises
    ------
    ValueError
        If the table has no such column.
    """
    table = pd.read_csv(path, skipinitialspace=True).rename(columns=str.strip)
    missing = [name for name in ("frame", "success", *columns) if name not in table]
    if missing:
        raise ValueError(f"{path}: no column {missing[0]}; the table of another program, or of OpenFace without that part")
    if "face_id" in table:
        table = table[table["face_id"] == table["face_id"].mode()[0]]
    table = table[(table["success"] == 1) & (table["frame"] <= count)]
    values = np.full((count, len(columns)), np.nan)
    values[table["frame"].to_numpy(int) - 1] = table[columns].to_numpy(float)
    return values


def measure_folder(folder: Path, models: VisionModels, most_frames: int = 400) -> list[GazeOfFile]:
    """Every video and photograph of a folder, in the order of their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEOS + PHOTOGRAPHS)
    return [measure_file(path, models, most_frames) for path in tqdm(paths, desc="files")]


def lens_rows(files: list[GazeOfFile]) -> list[list[str]]:
    """A row per person who looks into the lens, and one for all videos and all photographs; degrees."""
    rows = []
    for is_video, title in ((True, "all videos"), (False, "all photographs")):
        group = [file for file in files if file.recorded is None and file.is_video == is_video and len(file.found)]
        rows += [lens_row(file.name, file.found.mean(0)[None], [file.found.std(0)], len(file.found)) for file in group]
        if group:
            means = np.array([file.found.mean(0) for file in group])
            rows.append(lens_row(f"{title} ({len(group)})", means, [file.found.std(0) for file in group], len(group)))
    return rows + [[file.name, "0", *["no face"] * 4] for file in files if not len(file.found)]


def lens_row(name: str, means: np.ndarray, deviations: list[np.ndarray], count: int) -> list[str]:
    """Of means [shape=(n, 2)] and standard deviations of n files: what is written of them."""
    error = np.abs(means)
    sideways, down = means.mean(0)
    within = f"{100 * (error.max(1) <= BAR).mean():.0f} %"
    steady = "{:.1f}, {:.1f}".format(*np.mean(deviations, 0))
    return [name, str(count), f"{sideways:+.1f}, {down:+.1f}", "{:.1f}, {:.1f}".format(*error.mean(0)), within, steady]


def recorded_rows(files: list[GazeOfFile]) -> list[list[str]]:
    """A row per video and axis: mean and standard deviation of ours and of OpenFace's, and their correlation."""
    rows = []
    for file in files:
        if file.recorded is None:
            continue
        common = np.isfinite(file.recorded[:, 0]) & np.isfinite(file.angles[:, 0])
        for axis, ours, theirs in zip("xy", file.angles[common].T, file.recorded[common].T, strict=True):
            spread = [f"{values.mean():+.1f} ({values.std():.1f})" for values in (ours, theirs)]
            rows.append([file.name, axis, str(common.sum()), *spread, f"{np.corrcoef(ours, theirs)[0, 1]:.2f}"])
    return rows


def report(files: list[GazeOfFile]) -> str:
    """Both tables as Markdown, those that have rows."""
    lens = ["looks into the lens", "frames", "mean x, y", "error x, y", f"both within {BAR:g}", "standard deviation x, y"]
    recorded = ["beside OpenFace", "axis", "frames", "ours: mean (sd)", "OpenFace", "correlation"]
    tables = [(lens, lens_rows(files)), (recorded, recorded_rows(files))]
    return "\n".join(markdown_table(columns, rows) for columns, rows in tables if rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=400, help="most frames of a video")
    arguments = parser.parse_args()
    with single_threaded_models() as models:
        print(report(measure_folder(arguments.folder, models, arguments.frames)))


if __name__ == "__main__":
    main()
