"""The manifest is checked before anything runs: one message that names every faulty row and the cure."""

import re
import subprocess
import sys

import pandas as pd
import pytest

from pipeline.base.command import UserError
from pipeline.manifest import manifest_from_labels
from pipeline.sources.manifest_table import ManifestError, labelled_tasks, read_manifest, rows_of_video

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
        ({"start": "1.0", "end": "1.0000004"}, ["line 3", "end", "less than a frame", "correct the times"]),
        ({"label": "0_1"}, ["line 3", "label", "'0_1' is no", "give a number"]),
        ({"end": "1e999"}, ["line 3", "end", "'1e999'", "give the end in seconds"]),
        ({"text": "好\0听"}, ["line 3", "text", "U+0000", "take the character out"]),
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


@pytest.mark.parametrize(
    "name",
    [
        "-3g5yACwYnA",
        "--help",
        "甲 1",
        "Ünïcode",
        "a.b",
        "0001",
        "_x",
        "a" * 19,
        "天地玄黄宇宙洪荒日月" * 5,
        "O'Neill & Co (1)",
    ],
)
def test_names_that_are_borne(write, name):
    table = read_manifest(write({"video_id": name, "clip_id": name}))
    assert table.video_id[0] == table.clip_id[0] == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{x}", "holds '{'"),
        ("a:b", "holds ':'"),
        ("a\\b", "holds '\\\\'"),
        ("a" * 200, "has 200 bytes, more than 170"),
        ("天" * 90, "has 270 bytes, more than 170"),
        ("x" * 40, "ends with 20 repetitions"),
        ("天" * 50, "ends with 20 repetitions"),
        ("a\nb", r"holds U\+000A"),
        ("a\tb", r"holds U\+0009"),
        ("a\0b", r"holds U\+0000"),
        ("a\u202eb", r"holds U\+202E"),
        ("a\u00a0b", r"holds U\+00A0"),
        ("a ", "begins or ends with a space or a dot"),
        ("..", "begins or ends with a space or a dot"),
        ("e\u0301", "letters and accents apart"),
    ],
)
@pytest.mark.parametrize("column", ["video_id", "clip_id"])
def test_names_that_are_refused(write, column, name, words):
    with pytest.raises(ManifestError, match=words) as error:
        read_manifest(write({}, {column: name}))
    assert "line 3 (" in str(error.value) and f"{column}: " in str(error.value) and "; give the" in str(error.value)
    assert str(error.value).split("manifest:\n", 1)[1].isprintable()


@pytest.mark.parametrize(
    ("cell", "value"),
    [("０．２", 0.2), ("٠", 0.0), ("0.2\u00a0", 0.2), ("－０.5", -0.5), ("\u22120.5", -0.5), ("+.5", 0.5), ("1e-1", 0.1)],
)
def test_numbers_as_people_write_them(write, cell, value):
    assert read_manifest(write({"label": cell})).label[0] == value


@pytest.mark.parametrize("cell", ["", " ", "\u3000", "\u00a0"])
def test_a_blank_cell_is_an_empty_one(write, cell):
    table = read_manifest(write({"label": cell, "start": cell, "end": cell, "label_V": cell}))
    assert table[["label", "start", "end", "label_V"]].isna().all(axis=None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encodings_that_are_read(write, encoding, line_end):
    path = write({}, {"text": "他说,\n“好”"})
    with open(path, encoding="utf-8", newline="") as file:
        content = file.read()
    with open(path, "w", encoding=encoding, newline="") as file:
        file.write(content.replace("\n", line_end))
    table = read_manifest(path)
    assert list(table.clip_id) == ["0001", "0002"] and table.text[1].split() == ["他说,", "“好”"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.encode("gbk"), r"line 2: the file is not in UTF-8 \(perhaps in GBK\); save .* 'CSV UTF-8'"),
        (lambda content: content.encode("utf-16-le"), "in UTF-16 without saying so.*; save .* 'CSV UTF-8'"),
        (lambda content: b"PK\x03\x04" + content.encode(), r"a spreadsheet \(xlsx or ods\), whatever its name; save"),
        (lambda content: b"\xd0\xcf\x11\xe0" + content.encode(), r"a spreadsheet \(xls\), whatever its name; save"),
        (lambda content: content.replace("你好", '"你好', 1).encode(), "line 2: a quote without its partner .*; double"),
        (lambda content: content.replace("你好", "你,好", 1).encode(), "line 2: 12 cells for 11 columns; put a text that"),
        (lambda content: b"", "the file is empty; add a line of column names"),
        (lambda content: b"\n \n", "the file is empty; add a line of column names"),
        (lambda content: content.splitlines()[0].encode(), "no rows; add one row per clip"),
        (lambda content: content.replace(",", ";").encode(), "separated by semicolons; save .* with commas"),
        (lambda content: content.replace(",", "\t").encode(), "separated by tabs; save .* with commas"),
        (lambda content: content.replace("label_T", "label").encode(), "two columns are called 'label'; rename or remove one"),
    ],
    ids=["gbk", "utf-16", "xlsx", "xls", "quote", "comma", "empty", "blank", "no rows", "semicolons", "tabs", "columns"],
)
def test_a_file_that_is_no_csv_is_named_with_the_cure(write, change, words):
    path = write({}, {})
    with open(path, encoding="utf-8") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(change(content))
    with pytest.raises(UserError, match=f"manifest.csv.*{words}"):
        read_manifest(path)


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


def test_which_labels_can_be_learned(write):
    changes = [{"mode": mode, "label_V": "" if mode == "test" else "0"} for mode in ("train", "valid", "test")]
    changes.append({"mode": "train", "label_A": "0"})
    assert labelled_tasks(read_manifest(write(*changes))) == ("M", "T")
    assert labelled_tasks(read_manifest(write({}))) == ()


CH_SIMS = """video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode
video_0001,1,我不想嫁给李茶,-1,0.2,-0.4,-0.8,Negative,train
video_0001,0002,好,0,0,0,0,Neutral,valid
video_0060,0010,太好了,1,1,1,1,Positive,test
"""
# Labels in [-3, 3], none of a modality, ids of YouTube, files without leading zeros.
MOSI = """video_id,clip_id,text,label,annotation,mode
-3g5yACwYnA,1,"ANYHOW, IT WAS REALLY GOOD",2.4,Positive,train
-3g5yACwYnA,10,UMM NO,-2.6,Negative,valid
03bSnISJMiM,2,SO,0.0,Neutral,test
"""
# meta.csv of CH-SIMS v2 has columns that ours has not.
CH_SIMS_V2 = """video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode,ID,speaker
aqgy3_0001,00000,好,-1.0,0.2,-0.4,-0.8,Negative,train,1,a
aqgy3_0001,00012,太好了,1,1,1,1,Positive,test,2,b
"""
LAYOUTS = {
    "CH-SIMS": (CH_SIMS, (-1, 1), ["video_0001/0001", "video_0001/0002", "video_0060/0010"]),
    "MOSI": (MOSI, (-3, 3), ["-3g5yACwYnA/1", "-3g5yACwYnA/10", "03bSnISJMiM/2"]),
    "CH-SIMS v2": (CH_SIMS_V2, (-1, 1), ["aqgy3_0001/00000", "aqgy3_0001/00012"]),
}


def lay_out(folder, name):
    labels, label_range, clips = LAYOUTS[name]
    raw = folder / name / "Raw"
    for clip in clips:
        (raw / clip).parent.mkdir(parents=True, exist_ok=True)
        (raw / f"{clip}.mp4").touch()
    (folder / name / "label.csv").write_text(labels, encoding="utf-8-sig")
    return folder / name / "label.csv", raw, label_range


def command(folder, labels, raw, label_range):
    options = ["--labels", labels, "--raw", raw, "--label-range", *map(str, label_range), "--output", folder / "manifest.csv"]
    return subprocess.run([sys.executable, "-m", "pipeline.manifest", *options], capture_output=True, text=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_manifest_of_the_label_file_of_a_corpus(tmp_path, name):
    """label.csv loses leading zeros in many hands; the files have them."""
    labels, raw, label_range = lay_out(tmp_path, name)
    done = command(tmp_path, labels, raw, label_range)
    assert done.returncode == 0, done.stderr
    table = read_manifest(tmp_path / "manifest.csv", label_range)
    assert [f"{row.video_id}/{row.clip_id}" for row in table.itertuples()] == LAYOUTS[name][2]
    assert table.start.isna().all() and table["mode"].iloc[-1] == "test"
    assert table.label_T.isna().all() == (name == "MOSI")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mode\n", "set\n", "label.csv: missing column\\(s\\) mode; give the label file of the corpus"),
        ("-3g5yACwYnA,10", "-3g5yACwYnA,11", r"label.csv line 3 .*no such file '.*11.mp4'; correct the path"),
        ("2.4,Positive", "much,Positive", r"label.csv line 2 .*label: 'much' is no.*; give a number"),
        ("2.4,Positive", "4.2,Positive", r"label.csv line 2 .*label: 4.2 is outside \[-3.0, 3.0\]"),
        ('"ANYHOW', "ANYHOW", r"label.csv line 2: .*; (put a text|double)"),
    ],
)
def test_a_faulty_label_file_is_one_message_and_leaves_no_manifest(tmp_path, old, new, words):
    labels, raw, label_range = lay_out(tmp_path, "MOSI")
    labels.write_text(MOSI.replace(old, new), encoding="utf-8")
    done = command(tmp_path, labels, raw, label_range)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert not (tmp_path / "manifest.csv").exists()


def test_a_raw_folder_that_is_not_there(tmp_path):
    labels, _, label_range = lay_out(tmp_path, "MOSI")
    with pytest.raises(ManifestError, match="gone: no such folder; give the folder that holds a folder per video"):
        manifest_from_labels(labels, tmp_path / "gone", label_range)
