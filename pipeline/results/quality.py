"""List every clip of a data set with its quality flags, what is wrong, and the cure.

python -m pipeline.results.quality --dataset build/dataset.h5 --output results/quality.csv
"""

import argparse

import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.base.store import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    with open_dataset(arguments.dataset) as file:
        names = ("video_id", "clip_id", "mode", "flags", "message")
        table = pd.DataFrame({name: file[f"clips/{name}"].asstr()[:] for name in names})
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, index=False)
    print(f"{len(table)} clips, {(table['flags'] != '').sum()} with flags")


if __name__ == "__main__":
    run_command(main)
