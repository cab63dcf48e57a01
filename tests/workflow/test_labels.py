"""What labels there are decides what is made: systems that learn others are left out, or refused before anything runs."""

import pandas as pd
import pytest

from pipeline.sources.manifest_table import COLUMNS
from tests.workflow.conftest import Project

UNIMODAL = ["label_T", "label_A", "label_V"]


@pytest.fixture
def planned_project(empty_project):
    """A project with a manifest of six clips, two of each split, each with all labels; nothing is made."""
    (empty_project / "raw.mp4").touch()
    config = "manifest: data_manifest.csv\ncorpus: labels\nseeds: [1]\n"
    (empty_project / "config" / "config.yaml").write_text(config, encoding="utf-8")
    rows = [
        {"video_id": "v", "clip_id": str(i), "path": "raw.mp4", "start": i, "end": i + 1, "text": "好", "mode": mode}
        | dict.fromkeys(["label", *UNIMODAL], 0.4)
        for i, mode in enumerate(["train", "train", "valid", "valid", "test", "test"])
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.to_csv(empty_project / "data_manifest.csv", index=False)
    return Project(empty_project), table


def write(project, table):
    table.to_csv(project.folder / "data_manifest.csv", index=False)


def refused(project, target):
    done = project.snakemake("--dry-run", target=target)
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_without_unimodal_labels_their_systems_are_left_out(planned_project):
    project, table = planned_project
    write(project, table.assign(**dict.fromkeys(UNIMODAL)))
    runs = {run.removeprefix("run=") for run in project.planned(target="results/sims_table2.csv")["train"]}
    assert runs == {"ef_lstm", "mfn", "mult", "lf_dnn", "lmf", "tfn"}
    done = project.snakemake("--dry-run", "--printshellcmds", target="results/sims_table2.csv")
    assert "--without mlf_dnn mlmf mtfn --provenance" in done.stdout + done.stderr
    planned = project.planned(target="all")
    assert not {"unimodal"} & set(planned) and "significance" in planned and "corpus_tables" in planned
    assert "figure=sims_figure4" not in planned["representations"] and "figure=sfttr_figure4" in planned["representations"]
    # Of Tables 4 and 5 what learns the multimodal label alone is left.
    assert {"table=sims_table4", "table=sims_table5", "table=systems"} <= set(planned["table"])
    assert "run=mlf_dnn_m" in planned["train"] and "run=mlf_dnn" not in planned["train"]


def test_a_label_counts_if_every_split_has_it(planned_project):
    """MTFN of CH-SIMS learns no label of the sound."""
    project, table = planned_project
    table.loc[table["mode"] == "test", "label_A"] = None
    write(project, table)
    runs = {run.removeprefix("run=") for run in project.planned(target="results/sims_table2.csv")["train"]}
    assert "mtfn" in runs and not {"mlf_dnn", "mlmf"} & runs


@pytest.mark.parametrize("target", ["build/runs/mlf_dnn/1", "results/unimodal.csv", "results/sims_figure4.png"])
def test_what_cannot_be_learned_is_refused_by_name(planned_project, target):
    project, table = planned_project
    write(project, table.assign(label_T=None))
    said = refused(project, target)
    run = "unimodal_text" if "unimodal" in target else "mlf_dnn"
    assert f"{run} learns what not every split (train, valid, test) has: label_T; give some clips" in said


@pytest.mark.parametrize("mode", ["valid", "test"])
def test_a_split_without_labels_is_refused_before_anything_runs(planned_project, mode):
    project, table = planned_project
    table.loc[table["mode"] == mode, "label"] = None
    write(project, table)
    assert "learns what not every split (train, valid, test) has: label" in refused(project, "results/sims_table2.csv")
    write(project, table[table["mode"] != mode])
    assert "learns what not every split (train, valid, test) has: label" in refused(project, "results/sims_table2.csv")
    assert "dataset" in project.planned(target="results/quality.csv")


def test_no_data_set_without_a_clip_to_train_on(planned_project):
    project, table = planned_project
    write(project, table[table["mode"] != "train"])
    assert "no clip has mode 'train'" in refused(project, "results/quality.csv")
    assert "audio" in project.planned(target="build/features/audio/v.h5")
