"""Values of the systems are checked before anything runs, wherever they stand."""

import subprocess
import sys

import pytest
import yaml


def refusal(folder, **config):
    """What is said of a configuration that is wrong."""
    path = folder / "config" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "results/sims_table2.csv"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Job stats" not in said
    return said


@pytest.mark.parametrize(
    ("systems", "words"),
    [
        ({"confede": {"frozen_encoder": ["text"]}}, ["confede", "'frozen_encoder'", "did you mean 'frozen_encoders'"]),
        ({"almt": {"decay": "quadratic"}}, ["almt", "'decay'", "nor empty for none"]),
        ({"sfttr": {"frame_layers": 1}}, ["sfttr", "'frame_layers'", "dict[str, int]"]),
        ({"tfn": {"dropout": 1.5}}, ["tfn", "'dropout'", "1.5"]),
        ({"lf_dnn": {"max_epochs": -1}}, ["lf_dnn", "'max_epochs'", "less than 1"]),
    ],
)
def test_of_the_configuration(demo_project, systems, words):
    said = refusal(demo_project, systems=systems)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["own.yaml", "give each system its values"]),
        ("tfn: 3", ["own.yaml", "give each system its values"]),
        ("a: [", ["own.yaml", "no YAML"]),
        ("tfm: {batch_size: 3}", ["own.yaml", "no system 'tfm'"]),
        ("tfn: {batch_sise: 3}", ["tfn", "did you mean 'batch_size'"]),
    ],
)
def test_of_a_file_of_values(demo_project, content, words):
    (demo_project / "own.yaml").write_text(content, encoding="utf-8")
    said = refusal(demo_project, values="own.yaml")
    assert all(word in said for word in words), said


def test_a_file_that_is_not_there_is_named(demo_project):
    assert "config: values: nothing.yaml cannot be read" in refusal(demo_project, values="nothing.yaml")
