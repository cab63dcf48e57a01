"""Action units of people in films beside what OpenFace recorded of the same films.

    python -m benchmarks.real_action_units FOLDER [--frames 900]

Every film in the folder that has a table of OpenFace of the same name beside it (`film.mp4`, `film.csv`) is measured frame by
frame, at its own frame rate; the neutral face is that of the film.  Prints Pearson's correlation of each of the 17 intensities
in each film, where OpenFace's moves (a standard deviation of `MOVES` or more), their means over films, and over all
frames of all films together the correlations and how well presences agree (F1).  OpenFace is no truth: beards, hands and
microphones mislead it, too.  Where such films are had: benchmarks/README.md.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.accuracy_report import markdown_table
from benchmarks.accuracy_speakers import single_threaded_models
from benchmarks.real_gaze import VIDEOS, recorded
from features.action_units import action_units, neutral_of
from features.openface import AU_INTENSITIES, AU_PRESENCES
from features.vision import VisionModels, extract_vision
from pipeline.vision import read_frames

MOVES = 0.15  # of 0-5
FEWEST = 30  # frames
PRESENCES = [AU_PRESENCES.index(unit) for unit in AU_INTENSITIES]


def intensities_of(film: Path, models: VisionModels, most_frames: int) -> tuple[np.ndarray, ...]:
    """Ours and OpenFace's intensities, ours and OpenFace's presences of a film, each [shape=(n, 17)]; NaN without a face."""
    measures = extract_vision(islice(read_frames(film), most_frames), models).measures
    ours, present = action_units(measures, neutral_of(measures))
    columns = [f"{unit}_{kind}" for kind in "rc" for unit in AU_INTENSITIES]
    theirs = recorded(film.with_suffix(".csv"), columns, len(ours))
    return ours, theirs[:, : len(AU_INTENSITIES)], present[:, PRESENCES], theirs[:, len(AU_INTENSITIES) :]


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column [shape=(17,)] over the frames that both have; NaN where OpenFace's does not move."""
    result = np.full(ours.shape[1], np.nan)
    for i, (own, other) in enumerate(zip(ours.T, theirs.T, strict=True)):
        both = np.isfinite(own) & np.isfinite(other)
        if both.sum() >= FEWEST and other[both].std() >= MOVES:
            result[i] = np.corrcoef(own[both], other[both])[0, 1] if own[both].std() > 0 else 0.0
    return result


def agreement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """F1 of each column of presences [shape=(17,)], OpenFace's being the truth; NaN where it has none."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    hits = (both & (ours > 0.5) & (theirs > 0.5)).sum(0)
    called, true = (both & (ours > 0.5)).sum(0), (both & (theirs > 0.5)).sum(0)
    return np.where(true > 0, 2 * hits / np.maximum(called + true, 1), np.nan)


def cells(values: np.ndarray) -> list[str]:
    """Numbers and their mean as a table writes them."""
    return ["" if np.isnan(value) else f"{value:.2f}" for value in [*values, np.nanmean(values)]]


def report(films: dict[str, tuple[np.ndarray, ...]]) -> str:
    """The table of films by name, as Markdown."""
    each = np.array([correlations(ours, theirs) for ours, theirs, _, _ in films.values()])
    ours, theirs, present, truly = (np.concatenate(part) for part in zip(*films.values(), strict=True))
    rows = [[name, str(len(film[0])), *cells(row)] for (name, film), row in zip(films.items(), each, strict=True)]
    rows.append(["mean of the films", str(len(films)), *cells(np.nanmean(each, 0))])
    rows.append(["films in which it moves", "", *map(str, np.isfinite(each).sum(0)), str(np.isfinite(each).sum())])
    rows.append(["all frames together", str(len(ours)), *cells(correlations(ours, theirs))])
    rows.append(["presence, F1, all frames", str(len(ours)), *cells(agreement(present, truly))])
    return markdown_table(["film", "frames", *(unit[2:4] for unit in AU_INTENSITIES), "mean"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=900, help="most frames of a film")
    arguments = parser.parse_args()
    paths = [path for path in sorted(arguments.folder.iterdir()) if path.suffix.lower() in VIDEOS]
    with single_threaded_models() as models:
        films = {
            path.stem: intensities_of(path, models, arguments.frames)
            for path in tqdm(paths, unit="film")
            if path.with_suffix(".csv").is_file()
        }
    if not films:
        parser.exit(1, f"{arguments.folder}: no film with a table of OpenFace beside it\n")
    print(report(films))


if __name__ == "__main__":
    main()
