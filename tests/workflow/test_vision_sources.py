"""Where the facial features come from: the source of the config decides the command and what it depends on."""

import os
import subprocess
import sys

import pytest
import yaml

from pipeline.sources.manifest_table import COLUMNS

CSV = "开放 face"


@pytest.fixture
def folder(empty_project):
    """The project with two clips of one video, and an OpenFace file for the first."""
    (empty_project / "raw.mp4").write_text("no video")
    header = ",".join(COLUMNS)
    rows = [f"v 1,{clip_id},raw.mp4,,,好,0,0,0,0,train" for clip_id in ("0001", "0002")]
    (empty_project / "data_manifest.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (empty_project / CSV / "v 1").mkdir(parents=True)
    (empty_project / CSV / "v 1" / "0001.csv").write_text("frame, timestamp\n")
    return empty_project


def plan(folder, vision, target="build/dataset.h5", *arguments):
    config = {"manifest": "data_manifest.csv", "corpus": "test", "vision": vision}
    (folder / "source.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", target, "--configfile", "source.yaml", *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_openface_files_take_the_place_of_our_features(folder):
    code, text = plan(folder, {"source": "openface_csv", "folder": CSV}, "build/dataset.h5", "--dry-run", "--printshellcmds")
    assert code == 0, text
    assert f"python -m pipeline.openface_source --manifest data_manifest.csv --video-id='v 1' --csv '{CSV}/v 1'" in text
    assert "pipeline.clips" in text, "the sound is still cut from the raw video"
    assert "pipeline.vision" not in text


def test_a_new_file_reads_its_video_again(folder):
    vision, target = {"source": "openface_csv", "folder": CSV}, "build/features/vision/v 1.h5"
    code, text = plan(folder, vision, target)
    assert code == 0 and "no_features" not in text and "there is no" in text, text
    assert "Nothing to be done" in plan(folder, vision, target, "--dry-run")[1]
    file = folder / CSV / "v 1" / "0002.csv"
    file.write_text("frame, timestamp\n")
    code, text = plan(folder, vision, target)
    assert code == 0 and "openface_source" in text and "Nothing to be done" not in text
    assert "Nothing to be done" in plan(folder, vision, target, "--dry-run")[1]
    os.utime(file, (1e9, 1e9))
    assert "openface_source" in plan(folder, vision, target, "--dry-run")[1], "another file may be older"


def test_py_feat_is_asked_by_its_version(folder):
    for source, version in (("py_feat", "v2"), ("py_feat_v1", "v1")):
        code, text = plan(folder, {"source": source, "minimum_confidence": 0.7}, "build/dataset.h5", "--dry-run", "-p")
        assert code == 0, text
        assert f"pipeline.vision_py_feat --clips 'build/clips/v 1' --detector {version} --minimum-confidence 0.7" in text


@pytest.mark.parametrize(
    "vision, said",
    [
        ({"source": "openface_csv"}, "need each other"),
        ({"folder": CSV}, "need each other"),
        ({"source": "openface_csv", "folder": "nowhere"}, "no such folder 'nowhere'"),
        ({"source": "openface"}, "openface"),
    ],
)
def test_a_wrong_source_stops_before_anything_runs(folder, vision, said):
    code, text = plan(folder, vision, "build/dataset.h5", "--dry-run")
    assert code != 0 and said in text
