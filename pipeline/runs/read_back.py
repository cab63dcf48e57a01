"""Run folders, <runs>/<run>/<seed>/, read back; what they hold: pipeline/runs/run_folder.py."""

import json
from pathlib import Path

import pandas as pd
import yaml

IDENTIFIERS = {"video_id": str, "clip_id": str, "mode": str}


def read_metrics(runs: Path, run: str, seed: int) -> dict:
    """metrics.json of a run."""
    return json.loads((runs / run / str(seed) / "metrics.json").read_text(encoding="utf-8"))


def read_predictions(runs: Path, run: str, seed: int) -> pd.DataFrame:
    """predictions.csv of a run; ids are text."""
    return pd.read_csv(runs / run / str(seed) / "predictions.csv", dtype=IDENTIFIERS)


def read_history(runs: Path, run: str, seed: int) -> pd.DataFrame:
    """history.csv of a run: a row per epoch, or per setting tried."""
    return pd.read_csv(runs / run / str(seed) / "history.csv")


def read_run_config(runs: Path, run: str, seed: int) -> dict:
    """config.yaml of a run: all values as run."""
    return yaml.safe_load((runs / run / str(seed) / "config.yaml").read_text(encoding="utf-8"))
