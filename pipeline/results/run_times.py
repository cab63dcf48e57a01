"""Time and memory of each rule, from what Snakemake has measured of its jobs.

    python -m pipeline.results.run_times --folder build/run_times --output results/run_times.csv

A row per rule: jobs, seconds (of all jobs, of the longest), processor_seconds, memory_mb (resident, of the largest job; empty
where every job was too short to be looked at).
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing


def run_times(folder: Path) -> pd.DataFrame:
    """The table. Raises UserError if no job has been measured."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        measured = pd.read_csv(path, sep="\t", na_values=["-"]).iloc[-1]
        rows.append({"rule": path.relative_to(folder).parts[0], **measured[["s", "cpu_time", "max_rss"]]})
    if not rows:
        raise UserError(f"{folder}: no job has been measured yet; run the workflow first")
    jobs = pd.DataFrame(rows).groupby("rule")
    table = pd.DataFrame(
        {
            "jobs": jobs.size(),
            "seconds": jobs["s"].sum().round(1),
            "seconds_of_longest": jobs["s"].max().round(1),
            "processor_seconds": jobs["cpu_time"].sum().round(1),
            "memory_mb": jobs["max_rss"].max().round(),
        }
    )
    return table.sort_values("seconds", ascending=False).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder with <rule>/<job>.tsv")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with replacing(arguments.output) as temporary:
        run_times(arguments.folder).to_csv(temporary, index=False)


if __name__ == "__main__":
    run_command(main)
