"""The real corpus's config on a folder of the same shape: label.csv -> manifest -> the plan of the whole table."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def folder(empty_project):
    lines = ["video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode"]
    for video in ("video_0001", "video_0002"):
        (empty_project / "CH-SIMS" / "Raw" / video).mkdir(parents=True)
        for clip, mode in (("0001", "train"), ("0002", "valid"), ("0003", "test")):
            (empty_project / "CH-SIMS" / "Raw" / video / f"{clip}.mp4").write_bytes(b"a licensed video would be here")
            lines.append(f"{video},{clip},我不想嫁给李茶,-1.0,0.2,-0.4,-0.8,Negative,{mode}")
    (empty_project / "CH-SIMS" / "label.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return empty_project


def run(folder, *arguments):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_from_label_csv_to_the_plan_of_the_table(folder):
    plan = ["snakemake", "--dry-run", "results/ch_sims/sims_table2.csv", "--configfile", "config/ch_sims.yaml"]
    before = run(folder, *plan)
    assert before.returncode != 0 and "no such manifest" in before.stdout + before.stderr

    made = run(
        folder, "pipeline.manifest", "--labels", "CH-SIMS/label.csv", "--raw", "CH-SIMS/Raw", "--output", "ch_sims_manifest.csv"
    )
    assert made.returncode == 0 and "6 clips of 2 videos" in made.stdout

    done = run(folder, *plan)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    counts = dict(line.split() for line in text.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert {rule: counts[rule] for rule in ("clips", "text", "audio", "vision", "train")} == {
        "clips": "2", "text": "2", "audio": "2", "vision": "2", "train": "9",
    }  # fmt: skip
    assert "demo_video" not in counts and "encoder" not in counts
    assert "--encoder bert-base-chinese" in text and "build/ch_sims/dataset.h5" in text


def test_a_hub_model_that_cannot_be_had_is_a_clear_error(folder):
    run(folder, "pipeline.manifest", "--labels", "CH-SIMS/label.csv", "--raw", "CH-SIMS/Raw", "--output", "m.csv")
    arguments = ["--manifest", "m.csv", "--video-id", "video_0001", "--encoder", "bert-base-chinese", "--output", "x.h5"]
    done = run(folder, "pipeline.text", *arguments)
    assert done.returncode != 0 and "text encoder 'bert-base-chinese'" in done.stderr
    assert not (folder / "x.h5").exists()
