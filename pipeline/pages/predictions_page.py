"""The page of predictions: every new clip with what was predicted, and, when it is opened, why.

    python -m pipeline.pages.predictions_page --predictions results/predictions.csv --model build/models/self_mm.model \
        --output results/predictions/index.html

It is made like the quality page (pipeline/pages/page.py); the reasons of a clip come from `pipeline.explain`.
"""

import argparse
from html import escape
from pathlib import Path

import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.pages.page import Page
from pipeline.runs.model_folder import Model, read_model

PAGE = Page(
    headings={
        "video": "Video",
        "clip": "Clip",
        "class": "Class",
        "prediction": "Prediction",
        "spread": "Spread",
        "missing": "Missing",
        "flags": "Flags",
        "text": "Transcript",
    },
    numbers={"prediction": "{:+.3f}", "spread": "{:.3f}"},
)


def page_html(table: pd.DataFrame, model: Model) -> str:
    """The page of a table of predictions."""
    table = table.rename(columns={"video_id": "video", "clip_id": "clip"})
    low, high = model.label_range
    facts = (
        f"clips: {len(table)}, videos: {table['video'].nunique()}. Mean and spread of {len(model.seeds)} seed(s) of "
        f"{escape(model.name)}, trained on {escape(model.corpus)}, from {low:g} (negative) to {high:g} (positive)"
    )
    return PAGE.html(table, "Predictions", facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, required=True, help="table of `python -m pipeline.predictions`")
    parser.add_argument("--model", type=Path, required=True, help="the model folder behind it")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.predictions, dtype={"video_id": str, "clip_id": str})
    text = ["text", "missing", "flags", "message"]
    table[text] = table[text].astype(object).fillna("")
    model = read_model(arguments.model)
    with replacing(arguments.output) as temporary:
        temporary.write_text(page_html(table, model), encoding="utf-8")
    print(f"{arguments.output}: {len(table)} clips")


if __name__ == "__main__":
    run_command(main)
