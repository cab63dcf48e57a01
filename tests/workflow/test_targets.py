"""Every table and figure is a target, and a search for values is planned without a look at the test split."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.results.table_file import read_table_file

ROOT = Path(__file__).parents[2]


def change_config(folder, key, value):
    path = folder / "config" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")


def dry_run(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--dry-run", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    outputs = [line.removeprefix("    output: ").split(", ") for line in text.splitlines() if line.startswith("    output: ")]
    commands = [line for line in text.splitlines() if line.startswith("Shell command: ")]
    return {path for paths in outputs for path in paths}, commands


def test_all_makes_every_table_and_figure(demo_project):
    outputs, _ = dry_run(demo_project)
    tables = {path.stem: read_table_file(path) for path in (demo_project / "config" / "tables").glob("*.yaml")}
    for name, table in tables.items():
        assert (f"results/{name}.csv" in outputs) == table.suits((-1, 1))
    figures = {path.stem for path in (demo_project / "config" / "figures").glob("*.yaml")}
    for name in (
        "sims_table1.csv",
        "sims_table3.csv",
        "sims_figure2.png",
        "significance.csv",
        "unimodal.csv",
        "quality.csv",
        "qc/index.html",
    ):
        assert f"results/{name}" in outputs
    assert {f"results/{name}.png" for name in figures} <= outputs
    variants = yaml.safe_load((demo_project / "config" / "variants.yaml").read_text())
    assert {f"build/runs/{name}/12345" for name in variants} <= outputs
    trained = {path.split("/")[2] for path in outputs if path.startswith("build/runs/")}
    assert {f"results/curves/{name}.png" for name in trained} <= outputs


@pytest.mark.parametrize(("method", "count"), [("random", 3), ("grid", 48)])
def test_a_search_plans_its_trials_on_the_validation_split(demo_project, method, count):
    change_config(demo_project, "tuning", {"method": method, "trials": 3, "seeds": [1, 12]})
    outputs, commands = dry_run(demo_project, "results/tuned/text_guided.yaml")
    trials = {path.split("/")[3] for path in outputs if path.startswith("build/trials/text_guided/")}
    assert len(trials) == count and "results/tuned/text_guided.csv" in outputs
    of_trials = [command for command in commands if "--output build/trials/" in command]
    assert len(of_trials) == count and all("--validation-only" in command for command in of_trials)


def test_an_override_may_name_a_variant(demo_project):
    change_config(demo_project, "systems", {"mlf_dnn_ma": {"head_hidden": {"A": 16}}})
    _, commands = dry_run(demo_project, "build/runs/mlf_dnn_ma/1")
    (command,) = [command for command in commands if "pipeline.train" in command]
    assert '"head_hidden": {"A": 16}' in command and '"task_weights": {"A": 0.8, "M": 0.6}' in command
