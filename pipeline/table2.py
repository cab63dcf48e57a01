"""Table 2 of CH-SIMS (ACL 2020): multimodal results of all systems, as CSV, Markdown and a bar chart.

    python -m pipeline.table2 --runs build/runs --systems ef_lstm mfn mult lf_dnn mlf_dnn lmf mlmf tfn mtfn \
        --seeds 1 12 123 1234 12345 --corpus 'synthetic demo corpus' \
        --output results/sims_table2.csv --markdown results/sims_table2.md --figure results/sims_table2.png

Figures are percent, mean and sample standard deviation over the seeds on the test split. A row below each multi-task system
is its improvement over the single-task original. The first row predicts the same for
each clip: the median of the train labels.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from models.metrics import NAMES, sims_metrics
from pipeline.io import replacing
from pipeline.runs import read_metrics, read_predictions

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)

ORIGINALS = {"mlf_dnn": "lf_dnn", "mlmf": "lmf", "mtfn": "tfn"}
TITLES = {
    "ef_lstm": "EF-LSTM",
    "mfn": "MFN",
    "mult": "MULT",
    "lf_dnn": "LF-DNN",
    "mlf_dnn": "MLF-DNN",
    "lmf": "LMF",
    "mlmf": "MLMF",
    "tfn": "TFN",
    "mtfn": "MTFN",
}
METRIC_TITLES = {
    "acc2": "Acc-2",
    "acc3": "Acc-3",
    "acc5": "Acc-5",
    "f1": "F1",
    "mae": "MAE",
    "corr": "Corr",
    "f1_table2": "F1_table2",
}
MAJORITY = "majority (train median)"


def title(system: str) -> str:
    """Name of a system in print."""
    return TITLES.get(system, system)


def majority_row(predictions: pd.DataFrame) -> dict:
    """Metrics of the best constant: the median of the train labels predicted for each clip of the test split."""
    labelled = predictions.dropna(subset=["truth_M"])
    train, test = (labelled.loc[labelled["mode"] == mode, "truth_M"].to_numpy() for mode in ("train", "test"))
    metrics = sims_metrics(test, np.full(len(test), np.median(train)))
    return {f"{name}_mean": 100 * metrics[name] for name in NAMES} | {"majority": True}


def system_row(runs: list[dict]) -> dict:
    """Mean and standard deviation over the runs of one system; a Corr that is undefined in one run is undefined here."""
    row = {}
    for name in NAMES:
        values = np.array([run["test"]["M"][name] for run in runs], dtype=np.float64)  # None becomes NaN
        row[f"{name}_mean"] = 100 * values.mean()
        row[f"{name}_std"] = 100 * values.std(ddof=1) if len(runs) > 1 else np.nan
    majority = sum(run["test"]["M"]["majority"] for run in runs)
    return row | {"n_seeds": len(runs), "majority": majority > 0, "majority_seeds": majority}


def make_table(runs_folder: Path, systems: list[str], seeds: list[int], corpus: str) -> pd.DataFrame:
    """The table: a row per system, in the given order, with the majority first and the improvements in between."""
    rows = [{"system": MAJORITY} | majority_row(read_predictions(runs_folder, systems[0], seeds[0]))]
    of_system = {}
    for system in systems:
        of_system[system] = system_row([read_metrics(runs_folder, system, seed) for seed in seeds])
        rows.append({"system": title(system)} | of_system[system])
        original = ORIGINALS.get(system)
        if original in of_system:
            keys = [f"{name}_mean" for name in NAMES]
            difference = {key: of_system[system][key] - of_system[original][key] for key in keys}
            rows.append({"system": f"{title(system)} minus {title(original)}"} | difference)
    columns = [f"{name}_{part}" for name in NAMES for part in ("mean", "std")]
    table = pd.DataFrame(rows, columns=["system", *columns, "n_seeds", "majority", "majority_seeds"])
    table = table.astype({"n_seeds": "Int64", "majority": "boolean", "majority_seeds": "Int64"})
    return table.assign(corpus=corpus)


def to_markdown(table: pd.DataFrame, corpus: str) -> str:
    """The table to read: percent, mean ± standard deviation."""
    lines = [
        f"# Sentiment analysis, {corpus}: multimodal label, test split",
        "",
        "Percent (MAE and Corr x 100). Lower MAE is better. Mean ± standard deviation over the seeds.",
        "F1 is weighted by the truth; F1_table2 has truth and prediction exchanged, as in the published table.",
        "",
        "| system | " + " | ".join(METRIC_TITLES[name] for name in NAMES) + " | seeds | note |",
        "|---|" + "--:|" * (len(NAMES) + 1) + "---|",
    ]
    for _, row in table.iterrows():
        is_difference = pd.isna(row["majority"])
        cells = [_cell(row[f"{name}_mean"], row[f"{name}_std"], is_difference) for name in NAMES]
        seeds = "" if pd.isna(row["n_seeds"]) else str(row["n_seeds"])
        lines.append(f"| {row['system']} | " + " | ".join(cells) + f" | {seeds} | {_note(row)} |")
    return "\n".join(lines) + "\n"


def _cell(mean: float, std: float, is_difference: bool) -> str:
    if np.isnan(mean):
        return "NaN"
    if is_difference:
        return f"{mean:+.2f}"
    return f"{mean:.2f}" if np.isnan(std) else f"{mean:.2f} ± {std:.2f}"


def _note(row: pd.Series) -> str:
    if pd.isna(row["majority"]) or not row["majority"]:
        return ""
    if pd.isna(row["majority_seeds"]):
        return "one class for all clips"
    return f"majority: one class for all clips in {row['majority_seeds']} of {row['n_seeds']} seeds"


def draw(table: pd.DataFrame, corpus: str, path: Path) -> None:
    """Bar chart: a panel per metric, a bar per system, error bars of one standard deviation, the majority as a line."""
    baseline = table[table["system"] == MAJORITY].iloc[0]
    rows = table[table["n_seeds"].notna()]
    figure, panels = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    colours = ["#b0b0b0" if majority else "#4878a8" for majority in rows["majority"]]
    for panel, name in zip(panels.flat, ("acc2", "acc3", "acc5", "f1", "mae", "corr"), strict=True):
        means = rows[f"{name}_mean"]
        places = np.arange(len(rows))
        panel.bar(places, means.fillna(0), yerr=rows[f"{name}_std"], color=colours, capsize=3)
        for place in places[means.isna()]:
            panel.text(place, 2, "undefined", rotation=90, ha="center", va="bottom", color="#606060")
        if not np.isnan(baseline[f"{name}_mean"]):
            panel.axhline(baseline[f"{name}_mean"], color="#c03030", linestyle="--", linewidth=1.2, label=MAJORITY)
        panel.set_title(METRIC_TITLES[name] + (" (lower is better)" if name == "mae" else ""))
        panel.set_ylabel("x 100" if name in ("mae", "corr") else "%")
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xticks(places, rows["system"], rotation=45, ha="right", rotation_mode="anchor")
    count = int(rows["n_seeds"].max())
    seeds = f"{count} seeds" if count > 1 else "1 seed"
    caption = f"{corpus}: test split, multimodal label, mean and standard deviation over {seeds}"
    if rows["majority"].any():
        caption += "\ngrey: at least one seed predicts one class for all clips"
    figure.suptitle(caption, fontsize=12)
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder with <system>/<seed>/")
    parser.add_argument("--systems", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in the table")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        table = make_table(arguments.runs, arguments.systems, arguments.seeds, arguments.corpus)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {arguments.runs}: {error}") from error
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4f", na_rep="NaN")
    with replacing(arguments.markdown) as temporary:
        temporary.write_text(to_markdown(table, arguments.corpus), encoding="utf-8")
    with replacing(arguments.figure) as temporary:
        draw(table, arguments.corpus, temporary)
    for _, row in table.iterrows():
        if _note(row):
            print(f"{row['system']}: {_note(row)}")


if __name__ == "__main__":
    main()
