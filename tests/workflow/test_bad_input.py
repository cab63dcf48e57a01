"""Bad clips: each gets a flag and a message that names video, clip and cure; the others complete; none disappears."""

import h5py
import pandas as pd
import pytest

from pipeline.base.store import read_store
from pipeline.sources.clip_table import read_clips


@pytest.fixture(scope="module")
def quality(finished):
    table = pd.read_csv(finished.folder / "results" / "quality.csv", dtype=str, keep_default_na=False)
    return table.set_index(["video_id", "clip_id"])


@pytest.mark.parametrize(
    ("clip_id", "flag", "cure"),
    [
        ("truncated", "truncated", "replace the file"),
        ("text_file", "unreadable_video", "replace the file"),
        ("no_audio", "no_audio", "replace the file"),
        ("black", "no_face", "check that it shows a person"),
        ("end_beyond", "end_beyond_video", "correct end"),
        ("empty_text", "empty_text", "fill in `text`"),
        ("long_text", "text_truncated", "split the clip"),
    ],
)
def test_a_bad_clip_is_flagged(quality, clip_id, flag, cure):
    row = quality.loc[("bad", clip_id)]
    assert flag in row["flags"].split(";")
    assert f"bad/{clip_id}" in row["message"] and cure in row["message"]


def test_good_clips_have_no_flag(quality):
    assert (quality.loc["甲 1", "flags"] == "").all()


def test_no_clip_disappears_from_any_output_and_order_is_the_manifest_s(finished):
    manifest = pd.read_csv(finished.folder / "data_manifest.csv", dtype=str)
    build = finished.folder / "build"
    for video_id, rows in manifest.groupby("video_id", sort=False):
        clip_ids = list(rows.clip_id)
        assert [clip.clip_id for clip in read_clips(build / "clips" / video_id)] == clip_ids
        for modality in ("text", "audio", "vision"):
            assert list(read_store(build / "features" / modality / f"{video_id}.h5").clips) == clip_ids
    with h5py.File(build / "dataset.h5") as file:
        assert list(file["clips/clip_id"].asstr()[:]) == list(manifest.clip_id)
        for modality in ("text", "audio", "vision"):
            offsets = file[f"{modality}/offsets"][:]
            assert len(offsets) == len(manifest) + 1 and (offsets[1:] > offsets[:-1]).all()
    predictions = pd.read_csv(build / "runs" / "tfn" / "1" / "predictions.csv", dtype={"clip_id": str})
    assert list(predictions.clip_id) == list(manifest.clip_id)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"end": 0.3, "start": 0.3}, ["not after start", "correct the times"]),
        ({"clip_id": "0002"}, ["duplicate", "own clip_id"]),
        ({"label": "abc"}, ["'abc'", "give a number"]),
    ],
)
def test_a_faulty_manifest_stops_before_anything_runs(project, change, words):
    table = pd.read_csv(project.folder / "data_manifest.csv", dtype=str)
    for column, value in change.items():
        table.loc[2, column] = str(value)
    table.to_csv(project.folder / "data_manifest.csv", index=False)
    done = project.snakemake("--dry-run")
    assert done.returncode != 0
    for word in ["line 4", "甲 1/", *words]:
        assert word in done.stdout + done.stderr


def test_a_mistyped_config_key_is_named(project):
    done = project.snakemake("--dry-run", "--config", "sytems={}")
    assert done.returncode != 0 and "sytems" in done.stdout + done.stderr
