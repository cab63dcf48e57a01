"""Only what depends on a change is made again."""

import hashlib
import os
import re
import shutil

import pandas as pd
import pytest
import yaml

from pipeline.sources.clip_table import read_clips


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()}


def edit(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def test_nothing_to_do_after_a_run(finished):
    assert finished.planned() == {}


def test_results_are_byte_equal_when_made_again(project):
    before = digests(project.folder / "results")
    shutil.rmtree(project.folder / "results")
    shutil.rmtree(project.folder / "build" / "runs" / "tfn")
    done = project.snakemake()
    assert done.returncode == 0, done.stderr
    assert digests(project.folder / "results") == before


def test_a_change_of_the_audio_module_reruns_audio_and_what_follows(project):
    edit(project.folder / "features" / "audio.py")
    planned = project.planned()
    assert set(planned) == {"audio", "dataset", "quality", "train", "table"}
    assert len(planned["audio"]) == 2 and len(planned["train"]) == 9


def test_a_change_of_how_features_are_kept_reruns_them(project):
    edit(project.folder / "pipeline" / "base" / "store.py")
    planned = project.planned()
    assert set(planned) == {"text", "audio", "vision", "dataset", "quality", "train", "table"}


def test_other_models_of_the_face_rerun_vision(project):
    models = sorted(path for path in (project.folder / "features").iterdir() if path.suffix in (".npz", ".yaml"))
    assert len(models) >= 5
    for path in models:
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        assert "vision" in project.planned(), path.name
        path.write_bytes(before)


def set_config(project, **changes):
    config = project.folder / "config" / "config.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | changes))


def test_one_seed_more_trains_that_seed_alone(project):
    set_config(project, seeds=[12, 1], systems={"lf_dnn": {"max_epochs": 2}})
    table = project.folder / "build" / "runs" / "lf_dnn"
    before = (table / "1" / "model.safetensors").read_bytes()
    target = "build/runs/lf_dnn/12"
    assert project.planned(target=target) == {"train": ["run=lf_dnn"]}
    done = project.snakemake(target=target)
    assert done.returncode == 0, done.stderr
    assert "seeds [1] depend on has changed, they are kept" in (project.folder / "logs/train/lf_dnn.log").read_text()
    assert (table / "1" / "model.safetensors").read_bytes() == before
    set_config(project, seeds=[1, 12])
    assert project.planned(target=target) == {}


@pytest.mark.parametrize("form", ["mark and line ends", "columns", "numbers", "defaults"])
def test_another_form_of_the_same_runs_nothing(project, form):
    manifest = project.folder / "data_manifest.csv"
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    if form == "mark and line ends":
        manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    elif form == "columns":
        table[table.columns[::-1]].to_csv(manifest, index=False)
    elif form == "numbers":
        table["start"] = [f"{cell}00" if "." in cell else cell for cell in table["start"]]
        table["label"] = [f"+{cell}0" if "." in cell and "-" not in cell else cell for cell in table["label"]]
        table.to_csv(manifest, index=False)
    else:
        set_config(project, audio={"f0_min": 65.0, "f0_max": 600}, text={"batch_size": 8}, label_range=[-1.0, 1], seeds=[1])
    assert project.planned() == {}


def test_a_change_of_one_model_reruns_its_systems_alone(project):
    edit(project.folder / "models" / "tfn.py")
    planned = project.planned()
    assert set(planned) == {"train", "table"}
    assert sorted(planned["train"]) == ["run=mtfn", "run=tfn"]


def test_a_changed_setting_reruns_its_stage(project):
    config = project.folder / "config" / "config.yaml"
    config.write_text(config.read_text() + "audio: {first: zcr}\n")
    assert set(project.planned()) == {"audio", "dataset", "quality", "train", "table"}


def test_a_new_video_runs_only_itself_and_the_aggregates(project):
    folder = project.folder / "原始 raw"
    shutil.copy(folder / "face.mp4", folder / "new.mp4")
    table = pd.read_csv(project.folder / "data_manifest.csv", dtype=str)
    new = table.iloc[:2].assign(video_id="new", path="原始 raw/new.mp4")
    pd.concat([table, new]).to_csv(project.folder / "data_manifest.csv", index=False)
    planned = project.planned()
    for rule in ("clips", "text", "audio", "vision"):
        assert planned.pop(rule) == ["video_id=new"]
    assert set(planned) == {"dataset", "quality", "train", "table"}


def test_a_changed_text_reruns_text_of_that_video(project):
    manifest = project.folder / "data_manifest.csv"
    manifest.write_text(manifest.read_text().replace("今天很开心", "今天很难过", 1))
    planned = project.planned()
    assert planned["text"] == ["video_id=甲 1"]
    assert not {"clips", "audio", "vision"} & set(planned)


def test_a_changed_label_reruns_the_data_set_but_no_features(project):
    table = pd.read_csv(project.folder / "data_manifest.csv", dtype=str)
    table.loc[0, "label"] = "1.0"
    table.to_csv(project.folder / "data_manifest.csv", index=False)
    assert set(project.planned()) == {"dataset", "quality", "train", "table"}


def replace_video(project, seconds):
    """Put another video in the place of one, with a time so many seconds from now."""
    path = project.folder / "原始 raw" / "no_audio.mp4"
    shutil.copy(path.with_name("face.mp4"), path)
    time = path.stat().st_mtime + seconds
    os.utime(path, (time, time))


def test_a_video_replaced_by_an_older_file_is_cut_again(project):
    """As unpacking an archive, `cp -p` and downloads do."""
    replace_video(project, -3e8)
    planned = project.planned()
    assert planned["clips"] == planned["audio"] == planned["vision"] == ["video_id=bad"] and "text" not in planned


def test_a_video_with_a_time_in_the_future_is_cut_once(project):
    replace_video(project, 3e8)
    target = "build/clips/bad"
    done = project.snakemake(target=target)
    assert done.returncode == 0, done.stderr
    flags = {clip.clip_id: clip.flags for clip in read_clips(project.folder / target)}
    assert "no_audio" not in flags["no_audio"] and "truncated" in flags["truncated"]
    assert project.planned(target=target) == {}


def test_an_older_manifest_in_the_place_of_another_counts(project):
    manifest = project.folder / "data_manifest.csv"
    table = pd.read_csv(manifest, dtype=str)
    table.loc[0, "label"] = "1.0"
    table.to_csv(manifest, index=False)
    os.utime(manifest, (1e9, 1e9))
    assert set(project.planned()) == {"dataset", "quality", "train", "table"}


def features_of(project):
    return {modality: digests(project.folder / "build" / "features" / modality) for modality in ("audio", "vision")}


def said(project):
    """What the jobs of the good video said that they did."""
    logs = [project.folder / "logs" / stage / "甲 1.log" for stage in ("clips", "audio", "vision")]
    return [re.findall(r"甲 1: (\d+) clips \w+, (\d+) kept", log.read_text(encoding="utf-8")) for log in logs]


@pytest.mark.parametrize("change", ["time", "removed", "swapped"])
def test_one_changed_clip_costs_one_clip(project, change):
    """And the bytes are those of a run that makes all anew."""
    manifest = project.folder / "data_manifest.csv"
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    if change == "time":
        table.loc[2, "end"] = "1.3"
    elif change == "removed":
        table = table.drop(index=1)
    else:
        table = table.loc[[1, 0, *table.index[2:]]]
    table.to_csv(manifest, index=False)
    targets = [f"build/features/{modality}/甲 1.h5" for modality in ("audio", "vision")]
    done = project.snakemake(targets[0], target=targets[1])
    assert done.returncode == 0, done.stderr
    counts = {"time": ("1", "7"), "removed": ("0", "7"), "swapped": ("0", "8")}[change]
    assert said(project) == [[counts]] * 3
    kept = features_of(project), digests(project.folder / "build" / "clips" / "甲 1")
    for folder in ("clips", "features"):
        shutil.rmtree(project.folder / "build" / folder)
    done = project.snakemake(targets[0], *[f"build/features/{m}/bad.h5" for m in ("audio", "vision")], target=targets[1])
    assert done.returncode == 0, done.stderr
    assert (features_of(project), digests(project.folder / "build" / "clips" / "甲 1")) == kept
