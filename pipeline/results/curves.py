"""Loss by epoch of a run, all seeds in one picture.

    python -m pipeline.results.curves --runs build/runs --run self_mm --seeds 1 12 123 --corpus 'synthetic demo corpus' \
        --output results/curves/self_mm.png

Above the loss on the train split, below that on the validation split, by which the epoch was chosen (a ring). A seed whose
loss was not finite, or whose validation loss ended far above its best, is drawn in red and named. A system that is no
network has no epochs: then the settings tried stand on the axis.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.runs.read_back import read_history, read_metrics

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)
from matplotlib.ticker import MaxNLocator  # noqa: E402

FAR = 2.0  # a last validation loss of so many times the best is called diverged
LOSSES = {"train_loss": "train loss", "valid_loss": "validation loss"}


def diverged(history: pd.DataFrame) -> bool:
    """Whether a loss was not finite once the validation split was looked at, or the last is `FAR` times the best."""
    seen = history[history["valid_loss"].notna().cummax()] if "epoch" in history else history
    losses = seen[[name for name in LOSSES if name in seen]].to_numpy()
    if not len(losses) or not np.isfinite(losses).all():
        return True
    return "epoch" in history and bool(seen["valid_loss"].iloc[-1] > FAR * seen["valid_loss"].min())


def draw(histories: dict[int, pd.DataFrame], chosen: dict[int, int], title: str, path: Path) -> None:
    """`histories` : {seed: table of epochs, or of settings tried}; `chosen` : {seed: number of the chosen row, from 1}."""
    names = [name for name in LOSSES if all(name in history for history in histories.values())]
    size = (7, 1.2 + 2.4 * len(names))
    figure, axes = plt.subplots(len(names), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(histories)))
    for axis, name in zip(axes.flat, names, strict=True):
        for shade, (seed, history) in zip(shades, histories.items(), strict=True):
            bad = diverged(history)
            rows = np.arange(1, len(history) + 1)
            colour, width, ending = ("crimson", 2.0, ", diverged") if bad else (shade, 1.3, "")
            dots = "." if len(rows) == 1 else ""
            axis.plot(rows, history[name], color=colour, linewidth=width, marker=dots, label=f"seed {seed}{ending}")
            if name == "valid_loss" and 1 <= chosen[seed] <= len(rows):
                axis.plot(chosen[seed], history[name].iloc[chosen[seed] - 1], "o", color=colour, fillstyle="none")
        axis.set_ylabel(LOSSES[name])
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1, 0].set_xlabel("epoch" if all("epoch" in history for history in histories.values()) else "setting tried")
    axes[0, 0].set_title(title, fontsize=11)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder with <run>/<seed>/")
    parser.add_argument("--run", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    histories = {seed: read_history(arguments.runs, arguments.run, seed) for seed in arguments.seeds}
    chosen = {seed: read_metrics(arguments.runs, arguments.run, seed)["best_epoch"] for seed in arguments.seeds}
    with replacing(arguments.output) as temporary:
        draw(histories, chosen, f"{arguments.run}, {arguments.corpus}", temporary)


if __name__ == "__main__":
    run_command(main)
