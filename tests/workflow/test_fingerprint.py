"""Every table carries a short hash of what decides its figures, and of nothing else."""

import re

import pandas as pd
import yaml

from tests.workflow.test_targets import dry_run

TABLES = ("results.table", "results.significance", "results.unimodal", "results.robustness_table", "provenance")


def fingerprint(folder):
    """That which the commands of all tables, and of provenance.json, are given."""
    _, commands = dry_run(folder, "report")
    found = {}
    for module in TABLES:
        (given,) = {
            match[1]
            for command in commands
            if f"pipeline.{module} " in command
            for match in [re.search(r"--(?:provenance|fingerprint) (\w+)", command)]
        }
        found[module] = given
    (value,) = set(found.values())
    return value


def change(folder, **values):
    path = folder / "config" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_value_a_label_and_a_version_change_it_and_form_does_not(demo_project):
    project = demo_project
    first = fingerprint(project)
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    seeds = yaml.safe_load((project / "config" / "config.yaml").read_text(encoding="utf-8"))["seeds"]
    demo = yaml.safe_load((project / "config" / "config.yaml").read_text(encoding="utf-8"))["demo"]
    change(project, seeds=seeds[::-1], gpu=1, audio={"f0_min": 65.0}, demo=demo | {"folder": str(project / "data" / "demo")})
    manifest = project / "data_manifest.csv"
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    table["path"] = [str(project / path) for path in table["path"]]
    table[table.columns[::-1]].to_csv(manifest, index=False, encoding="utf-8-sig", lineterminator="\r\n")
    assert fingerprint(project) == first
    table.loc[0, "label"] = "0.4"
    table.to_csv(manifest, index=False)
    second = fingerprint(project)
    change(project, audio={"f0_min": 70})
    third = fingerprint(project)
    pins = project / "requirements.txt"
    pins.write_text(pins.read_text(encoding="utf-8") + "another==1.0\n", encoding="utf-8")
    fourth = fingerprint(project)
    with (project / "config" / "models" / "confede.yaml").open("a", encoding="utf-8") as file:
        file.write("temperature: 0.4\n")
    fifth = fingerprint(project)
    own = project / "values.yaml"
    change(project, values="values.yaml")
    own.write_text("tfn: {batch_size: 8}", encoding="utf-8")
    sixth = fingerprint(project)
    own.write_text("tfn: {batch_size: 4}", encoding="utf-8")
    assert len({first, second, third, fourth, fifth, sixth, fingerprint(project)}) == 7
