"""All systems under all conditions of `pipeline.results.robustness`: a table, and a picture of how much MAE rises.

    python -m pipeline.results.robustness_table --tables build/robustness/tfn.csv build/robustness/mult.csv \
        --output results/robustness.csv --figure results/robustness.png
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)

SIGNS = {"text": "T", "audio": "A", "vision": "V"}


def label_of(condition: str, modalities: str, strength: float) -> str:
    """A condition in short: '- T A' without text and audio, 'A + 1 sd', 'T 25 %'."""
    signs = " ".join(SIGNS[name] for name in modalities.split(";") if name)
    if condition == "complete":
        return "complete"
    if condition == "missing":
        return f"without {signs}"
    return f"{signs}: {strength:.0%} swapped" if modalities == "text" else f"{signs} + {strength:g} sd"


def draw(table: pd.DataFrame, path: Path) -> None:
    """MAE x 100 of every system under every condition; the colour is the rise over the complete clips."""
    labels = [label_of(*row) for row in table[["condition", "modalities", "strength"]].itertuples(index=False)]
    table = table.assign(label=labels)
    grid = table.pivot(index="run", columns="label", values="mae_mean")[list(dict.fromkeys(labels))]
    grid = grid.loc[list(dict.fromkeys(table["run"]))]
    rise = grid.sub(grid["complete"], axis=0).to_numpy()
    largest = max(1.0, float(np.nanpercentile(np.abs(rise), 98)))
    figure, panel = plt.subplots(figsize=(2.6 + 0.62 * grid.shape[1], 2.2 + 0.3 * len(grid)), layout="constrained")
    picture = panel.imshow(rise, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto")
    for (line, column), value in np.ndenumerate(grid.to_numpy()):
        dark = abs(rise[line, column]) > 0.6 * largest
        panel.text(column, line, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    panel.set_xticks(range(grid.shape[1]), grid.columns, rotation=40, ha="right", fontsize=8.5)
    panel.set_yticks(range(len(grid)), grid.index, fontsize=8.5)
    panel.set_title(f"MAE x 100 on the test split, {table['corpus'].iloc[0]}", fontsize=11)
    figure.colorbar(picture, ax=panel, label="rise over the complete clips", shrink=0.8)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", type=Path, required=True, help="a table of each system")
    parser.add_argument("--provenance", default="", help="hash of what made the results: `fingerprint` of their provenance.json")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    arguments = parser.parse_args()
    table = pd.concat([pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in arguments.tables])
    table["modalities"] = table["modalities"].astype(object).fillna("")
    with replacing(arguments.output) as temporary:
        table.assign(provenance=arguments.provenance).to_csv(temporary, index=False, float_format="%.4f")
    draw(table, arguments.figure)
    print(f"{arguments.output}: {table['run'].nunique()} systems")


if __name__ == "__main__":
    run_command(main)
