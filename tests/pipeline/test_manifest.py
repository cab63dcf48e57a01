"""The manifest is checked before anything runs: one message that names every faulty row and the cure."""

import subprocess
import sys

import pandas as pd
import pytest

from pipeline.manifest import ManifestError, manifest_from_labels, read_manifest, rows_of_video

ROW = {
    "video_id": "video_0001", "clip_id": "0001", "path": "video.mp4", "start": "0.5", "end": "2.0", "text": "你好",
    "label": "0.2", "label_T": "-0.4", "label_A": "", "label_V": "1", "mode": "train",
}  # fmt: skip


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video.mp4").touch()

    def write(*changes, drop=()):
        rows = [{**ROW, "clip_id": f"{i:04d}", **change} for i, change in enumerate(changes, start=1)]
        pd.DataFrame(rows).drop(columns=list(drop)).to_csv("manifest.csv", index=False)
        return "manifest.csv"

    return write


def test_a_good_manifest_keeps_order_zeros_and_empty_labels(write):
    table = read_manifest(write({"clip_id": "0010"}, {"clip_id": "0002", "start": "", "end": ""}))
    assert list(table.clip_id) == ["0010", "0002"]
    assert table.label_A.isna().all() and table.start.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "abc"}, ["line 3", "video_0001/0002", "label", "'abc'", "give a number"]),
        ({"label_V": "1.5"}, ["line 3", "label_V", "outside [-1", "correct the label"]),
        ({"label": "nan"}, ["line 3", "label"]),
        ({"start": "2.0", "end": "2.0"}, ["line 3", "end", "not after start", "correct the times"]),
        ({"start": "3.0"}, ["line 3", "not after start"]),
        ({"end": ""}, ["line 3", "only one of them", "give both"]),
        ({"start": "-1"}, ["line 3", "start"]),
        ({"clip_id": "0001"}, ["line 3", "duplicate of line 2", "own clip_id"]),
        ({"mode": "dev"}, ["line 3", "mode", "'dev'", "train, valid or test"]),
        ({"path": "gone.mp4"}, ["line 3", "no such file 'gone.mp4'", "correct the path"]),
        ({"path": ""}, ["line 3", "path"]),
        ({"clip_id": "../x"}, ["line 3", "clip_id"]),
        ({"video_id": "a/b"}, ["line 3", "video_id", "without '/'"]),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_row_and_the_cure(write, change, words):
    with pytest.raises(ManifestError) as error:
        read_manifest(write({}, change))
    for word in words:
        assert word in str(error.value)
    assert "line 2 " not in str(error.value)


def test_all_faults_come_in_one_message(write):
    with pytest.raises(ManifestError, match="2 fault"):
        read_manifest(write({"label": "abc"}, {"mode": "x"}))


def test_columns(write):
    with pytest.raises(ManifestError, match="missing column 'label_T'"):
        read_manifest(write({}, drop=["label_T"]))
    with pytest.raises(ManifestError, match="unknown column 'speaker'"):
        read_manifest(write({"speaker": "x"}))


def test_a_video_that_the_workflow_makes_need_not_exist(write):
    assert len(read_manifest(write({"path": "made.mp4"}), made=["made.mp4"])) == 1


def test_an_unknown_video_is_an_error(write):
    with pytest.raises(ManifestError, match="no clip of video 'x'"):
        rows_of_video(write({}), "x")


def test_a_manifest_from_a_folder_of_the_shape_of_ch_sims(tmp_path):
    """label.csv loses leading zeros in many hands; the files have them."""
    raw = tmp_path / "CH SIMS" / "Raw"
    for video, clip in (("video_0001", "0001"), ("video_0001", "0002"), ("video_0060", "0010")):
        (raw / video).mkdir(parents=True, exist_ok=True)
        (raw / video / f"{clip}.mp4").touch()
    labels = tmp_path / "label.csv"
    labels.write_text(
        "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
        "video_0001,1,我不想嫁给李茶,-1,0.2,-0.4,-0.8,Negative,train\n"
        "video_0001,0002,好,0,0,0,0,Neutral,valid\n"
        "video_0060,0010,太好了,1,1,1,1,Positive,test\n",
        encoding="utf-8-sig",
    )
    output = tmp_path / "manifest.csv"
    subprocess.run(
        [sys.executable, "-m", "pipeline.manifest", "--labels", labels, "--raw", raw, "--output", output], check=True
    )
    table = read_manifest(output)
    assert list(table.clip_id) == ["0001", "0002", "0010"] and table.start.isna().all()
    assert list(table["mode"]) == ["train", "valid", "test"]
    labels.write_text("video_id,clip_id\nv,1\n")
    with pytest.raises(ManifestError, match="missing column"):
        manifest_from_labels(labels, raw)
