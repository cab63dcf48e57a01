"""Action units of real people: photographs of posed expressions, and of faces at rest under other lamps and with glasses.

    python -m benchmarks.real_expressions FOLDER [--rest normal] [--people 2 4 6]

The folder holds photographs `<person>.<state>`, or `<person>.<state>.<suffix>`; that of the state `--rest` is the person's
neutral face.  Prints the mean intensity of every action unit in each state, and how far it lies from that at rest for each
person: mean and largest.  `--people` takes some of the people only, by their place in the order of names, from 1, so that
those on whom something was chosen can be left out.  Where such photographs are had: benchmarks/README.md.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from benchmarks.accuracy_report import markdown_table
from benchmarks.accuracy_speakers import single_threaded_models
from features.action_units import neutral_of
from features.openface import AU_INTENSITIES
from features.vision import action_unit_columns, extract_vision


def measures_by_name(folder: Path) -> pd.Series:
    """Measures [m] of the face in each photograph, under (person, state); photographs without a face are named and left out."""
    paths, found = sorted(path for path in folder.iterdir() if path.is_file()), {}
    with single_threaded_models() as models:
        for path in tqdm(paths, unit="photograph"):
            person, state = path.name.split(".")[:2]
            measures = extract_vision([np.asarray(Image.open(path).convert("RGB"))], models).measures
            if np.isfinite(measures[0, 0]):
                found[person, state] = measures[0]
            else:
                print(f"{path}: no face")
    return pd.Series(found)


def intensities(measures: pd.Series, rest: str) -> pd.DataFrame:
    """Intensities of all photographs of people who have one at rest: a row per (person, state), a column per action unit."""
    rows = {}
    for (person, state), own in measures.items():
        if (person, rest) in measures:
            neutral = neutral_of(measures[person, rest][None])
            rows[person, state] = action_unit_columns(own[None], neutral)[0, : len(AU_INTENSITIES)]
    return pd.DataFrame(rows, index=list(AU_INTENSITIES)).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rest", default="normal", help="state of the neutral face")
    parser.add_argument("--people", type=int, nargs="+", help="places of those who are looked at, from 1; else all")
    arguments = parser.parse_args()
    table = intensities(measures_by_name(arguments.folder), arguments.rest)
    people = sorted(table.index.get_level_values(0).unique())
    chosen = [people[place - 1] for place in arguments.people or range(1, len(people) + 1)]
    table = table.loc[chosen]
    at_rest = table.xs(arguments.rest, level=1)
    rows = []
    for state in table.index.get_level_values(1).unique():
        own = table.xs(state, level=1)
        moved = (own - at_rest.loc[own.index]).abs()
        cells = [f"{value:.1f}" for value in own.mean()]
        rows.append(
            [
                state,
                str(len(own)),
                *cells,
                f"{moved.mean().mean():.2f}",
                f"{(own - at_rest.loc[own.index]).mean().abs().max():.2f}",
            ]
        )
    print(
        markdown_table(
            ["state", "n", *(name[2:4] for name in AU_INTENSITIES), "moved, mean", "moved, largest mean of an AU"], rows
        )
    )


if __name__ == "__main__":
    main()
