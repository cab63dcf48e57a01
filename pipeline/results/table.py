"""One table of results, as config/tables/<name>.yaml describes it: CSV, Markdown and a bar chart.

    python -m pipeline.results.table --table config/tables/sims_table2.yaml --runs build/runs --seeds 1 12 123 1234 12345 \
        --corpus 'synthetic demo corpus' \
        --output results/sims_table2.csv --markdown results/sims_table2.md --figure results/sims_table2.png

Figures are percent (MAE and Corr x 100), mean and sample standard deviation over the seeds on the test split. The first
row predicts the same for each clip: the median of the train labels. Below a row that names another run to compare with
stands the difference of the two. Published figures have columns of their own, and only on the corpus that they are of.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from models.metrics import METRIC_TITLES, metrics_for
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.runs.read_back import read_metrics, read_predictions
from pipeline.results.table_file import Published, Row, TableFile, read_table_file

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)

MAJORITY = "majority (train median)"


def of_corpus(file: TableFile, label_range: tuple[float, float]) -> TableFile:
    """The table with those of its metrics that a corpus with such labels has.

    Raises ValueError if it has none of them, or no row, or the table is for other labels.
    """
    _, names = metrics_for(label_range)
    metrics = [name for name in file.metrics if name in names]
    if not file.suits(label_range) or not metrics or not file.rows:
        raise ValueError(f"this table is not made for labels in {label_range}, or no row is left: leave it out")
    return replace(file, metrics=metrics)


def majority_row(predictions: pd.DataFrame, task: str, metrics: list[str], label_range: tuple[float, float]) -> dict:
    """Metrics of the best constant: the median of the train labels predicted for each clip of the test split."""
    score, _ = metrics_for(label_range)
    labelled = predictions.dropna(subset=[f"truth_{task}"])
    train, test = (labelled.loc[labelled["mode"] == mode, f"truth_{task}"].to_numpy() for mode in ("train", "test"))
    scores = score(test, np.full(len(test), np.median(train)))
    return {f"{name}_mean": 100 * scores[name] for name in metrics} | {"task": task, "majority": True}


def run_row(runs_folder: Path, row: Row, seeds: list[int], metrics: list[str]) -> dict:
    """Mean and standard deviation over the seeds of one run; a Corr that is undefined in one seed is undefined here."""
    scores = []
    for seed in seeds:
        of_tasks = read_metrics(runs_folder, row.run, seed)["test"]
        if row.task not in of_tasks:
            raise ValueError(
                f"run {row.run}, seed {seed}, has no test metrics of task {row.task}: it has {', '.join(of_tasks)}"
            )
        scores.append(of_tasks[row.task])
    cells = {"task": row.task, "run": row.run, "n_seeds": len(seeds)}
    for name in metrics:
        values = np.array([score[name] for score in scores], dtype=np.float64)  # None becomes NaN
        cells[f"{name}_mean"] = 100 * values.mean()
        cells[f"{name}_std"] = 100 * values.std(ddof=1) if len(seeds) > 1 else np.nan
    majority = sum(score["majority"] for score in scores)
    return cells | {"majority": majority > 0, "majority_seeds": majority}


def make_table(
    file: TableFile, runs_folder: Path, seeds: list[int], corpus: str, label_range: tuple[float, float]
) -> pd.DataFrame:
    """The table: the majority of each label, then the rows of the file, each followed by its difference if it has one."""
    first = read_predictions(runs_folder, file.runs[0], seeds[0])
    rows = []
    for task in file.tasks:
        label = MAJORITY if file.tasks == ["M"] else f"{MAJORITY}, label {task}"
        rows.append({"system": label} | majority_row(first, task, file.metrics, label_range))
    own = {row.label: {"system": row.label} | run_row(runs_folder, row, seeds, file.metrics) for row in file.rows}
    for row in file.rows:
        rows.append(own[row.label])
        if row.minus:
            keys = [f"{name}_mean" for name in file.metrics]
            difference = {key: own[row.label][key] - own[row.minus][key] for key in keys}
            rows.append({"system": f"{row.label} minus {row.minus}", "task": row.task} | difference)
    columns = [f"{name}_{part}" for name in file.metrics for part in ("mean", "std")]
    table = pd.DataFrame(rows, columns=["system", "task", *columns, "n_seeds", "majority", "majority_seeds", "run"])
    table = table.astype({"n_seeds": "Int64", "majority": "boolean", "majority_seeds": "Int64"}).assign(corpus=corpus)
    if corpus in file.published:
        table = table.join(published_columns(table["system"], file.published[corpus], file.metrics))
    return table


def published_columns(labels: pd.Series, published: Published, metrics: list[str]) -> pd.DataFrame:
    """Published figures of the rows called `labels`, NaN where there are none, and what is known of them."""
    columns = pd.DataFrame(index=labels.index)
    for name in metrics:
        columns[f"published_{name}"] = [published.rows.get(label, {}).get(name, np.nan) for label in labels]
    notes = [[published.note, published.rows[label].get("note", "")] if label in published.rows else [] for label in labels]
    return columns.assign(published_note=[" ".join(filter(None, parts)) for parts in notes])


def to_markdown(table: pd.DataFrame, file: TableFile, corpus: str, left_out: list[str]) -> str:
    """The table to read: percent, mean ± standard deviation; published figures in a second table below.

    left_out : labels of the rows of the table file that are not in it
    """
    lines = [
        f"# {file.caption}, {corpus}: test split",
        "",
        f"Layout: {file.source}. Percent (MAE and Corr x 100); lower MAE is better.",
        "Mean ± standard deviation over the seeds.",
    ]
    if "f1_table2" in file.metrics:
        lines.append("F1 is weighted by the truth; F1_table2 has truth and prediction exchanged, as in the published table.")
    titles = " | ".join(METRIC_TITLES[name] for name in file.metrics)
    lines += ["", f"| system | {titles} | seeds | note |", "|---|" + "--:|" * (len(file.metrics) + 1) + "---|"]
    for _, row in table.iterrows():
        is_difference = pd.isna(row["majority"])
        cells = [_cell(row[f"{name}_mean"], row[f"{name}_std"], is_difference) for name in file.metrics]
        seeds = "" if pd.isna(row["n_seeds"]) else str(row["n_seeds"])
        lines.append(f"| {row['system']} | " + " | ".join(cells) + f" | {seeds} | {_note(row)} |")
    if left_out:
        lines += ["", f"Left out, since they learn labels that clips of this corpus do not have: {', '.join(left_out)}."]
    if corpus in file.published:
        lines += ["", f"## As published: {file.source}", ""]
        lines += [file.published[corpus].note, ""] if file.published[corpus].note else []
        lines += [f"| system | {titles} | note |", "|---|" + "--:|" * len(file.metrics) + "---|"]
        for label, numbers in file.published[corpus].rows.items():
            cells = [f"{numbers[name]:.2f}" if name in numbers else "" for name in file.metrics]
            lines.append(f"| {label} | " + " | ".join(cells) + f" | {numbers.get('note', '')} |")
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


def draw(table: pd.DataFrame, file: TableFile, corpus: str, path: Path) -> None:
    """Bar chart: a panel per metric, a bar per run, error bars of one standard deviation, the majority as a line."""
    rows = table[table["n_seeds"].notna()]
    baselines = table[table["n_seeds"].isna() & table["majority"].notna()]
    names = [name for name in file.metrics if name != "f1_table2"]
    columns = len(names) if len(names) < 5 else 3
    lines = -(-len(names) // columns)
    width = columns * max(13 / 3, 0.25 * len(rows))
    figure, panels = plt.subplots(lines, columns, figsize=(width, 3.75 * lines), layout="constrained", squeeze=False)
    places = np.arange(len(rows))
    # An empty corner of the grid is no panel.
    for panel in panels.flat[len(names) :]:
        panel.remove()
    for panel, name in zip(panels.flat[: len(names)], names, strict=True):
        means, colours = rows[f"{name}_mean"], np.where(rows["majority"], "#b0b0b0", "#4878a8")
        panel.bar(places, means.fillna(0), yerr=rows[f"{name}_std"], color=colours, capsize=3)
        for place in places[means.isna()]:
            panel.text(place, 2, "undefined", rotation=90, ha="center", va="bottom", color="#606060")
        _draw_baselines(panel, rows, baselines, name)
        panel.set_title(METRIC_TITLES[name] + (" (lower is better)" if name == "mae" else ""))
        panel.set_ylabel("x 100" if name in ("mae", "corr") else "%")
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xticks(places, rows["system"], rotation=45, ha="right", rotation_mode="anchor")
    count = int(rows["n_seeds"].max())
    seeds = f"{count} seeds" if count > 1 else "1 seed"
    caption = f"{file.caption}, {corpus}: test split, mean and standard deviation over {seeds}"
    if rows["majority"].any():
        caption += "\ngrey: at least one seed predicts one class for all clips"
    figure.suptitle(caption, fontsize=12)
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _draw_baselines(panel: plt.Axes, rows: pd.DataFrame, baselines: pd.DataFrame, name: str) -> None:
    """A dashed line at the majority of each label, over the bars that are scored on that label."""
    label = MAJORITY
    for _, baseline in baselines.iterrows():
        for place, task in enumerate(rows["task"]):
            if task == baseline["task"] and not np.isnan(baseline[f"{name}_mean"]):
                height = baseline[f"{name}_mean"]
                panel.hlines(height, place - 0.5, place + 0.5, "#c03030", "--", linewidth=1.2, label=label)
                label = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="config/tables/<name>.yaml")
    parser.add_argument("--runs", type=Path, required=True, help="folder with <run>/<seed>/")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--corpus", required=True, help="name of the corpus, printed in the table")
    parser.add_argument("--label-range", nargs=2, type=float, default=(-1.0, 1.0), metavar=("LOW", "HIGH"))
    parser.add_argument("--without", nargs="+", default=[], help="runs that learn labels which the corpus has not")
    parser.add_argument("--provenance", default="", help="hash of what made the results: `fingerprint` of their provenance.json")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    arguments = parser.parse_args()
    label_range = tuple(arguments.label_range)
    whole = read_table_file(arguments.table)
    left_out = [row.label for row in whole.rows if row.run in arguments.without]
    try:
        file = of_corpus(whole.without(arguments.without), label_range)
        table = make_table(file, arguments.runs, arguments.seeds, arguments.corpus, label_range)
    except ValueError as error:
        raise UserError(f"{arguments.table}, {arguments.runs}: {error}") from error
    with replacing(arguments.output) as temporary:
        table.assign(provenance=arguments.provenance).to_csv(temporary, index=False, float_format="%.4f", na_rep="NaN")
    with replacing(arguments.markdown) as temporary:
        text = to_markdown(table, file, arguments.corpus, left_out)
        said = f"\nProvenance {arguments.provenance}: see provenance.json, which the target `all` makes.\n" if arguments.provenance else ""
        temporary.write_text(text + said, encoding="utf-8")
    with replacing(arguments.figure) as temporary:
        draw(table, file, arguments.corpus, temporary)
    if left_out:
        print(f"left out, since they learn labels that clips of this corpus do not have: {', '.join(left_out)}")
    for _, row in table.iterrows():
        if _note(row):
            print(f"{row['system']}: {_note(row)}")


if __name__ == "__main__":
    run_command(main)
