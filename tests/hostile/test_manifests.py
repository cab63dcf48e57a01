"""Manifests as nobody should write them: what the user is told, word for word, or what is read of them."""

import pytest

from pipeline.add_videos import append, existing_rows
from pipeline.base.command import UserError
from pipeline.sources.manifest_table import COLUMNS, read_manifest

HEAD = ",".join(COLUMNS)
SAVE = "save the table as 'CSV UTF-8'"
CURE = "give a number within the corpus's label range, or leave it empty for a clip without this label"
NUMBER = f"is not of type 'number', 'null'; {CURE}"
NO_UTF_8 = f"the file is not in UTF-8 (perhaps in GBK); {SAVE}"
NO_MARK = f"m.csv: the file is in UTF-16 without saying so, or no text at all; {SAVE}"
HALF = f"m.csv line 2: the file is not whole UTF-16; {SAVE}"
QUOTE = "m.csv line 2: a quote without its partner ({}); double each quote inside a text"
COMMA = "m.csv line 2: 12 cells for 11 columns; put a text that holds a comma, a quote or a line break between quotes"
CHARACTER = "text: it holds a character that no text has (U+0000 or half a character); take the character out of the text"
SLASH = "clip_id: '../../x' holds '/'; give the clip a name without '/' that is unique within its video; leading zeros are kept"
UNSEEN = (
    "video_id: '\\ufeffv' holds U+FEFF, which cannot be seen or is no letter; give the video a name without '/' (it names "
    "folders and files), docs/manifest.md"
)
NO_FILE = "path: no such file '{}'; correct the path or put the video there"


def row(**cells):
    given = {
        "video_id": "v",
        "clip_id": "1",
        "path": "video.mp4",
        "start": "0.5",
        "end": "2",
        "text": "你好",
        "label": "0",
        "mode": "train",
    }
    return ",".join((given | cells).get(name, "") for name in COLUMNS)


def table(*rows, head=HEAD):
    return "\n".join([head, *rows]) + "\n"


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def told(fault, line=2, name="v/1"):
    return f"1 fault(s) in the manifest:\nm.csv line {line} ({name}): {fault}"


# What the file cannot be read as; add_videos refuses it in the same words.
UNREADABLE = {
    "GBK": (table(row()).encode("gbk"), f"m.csv line 2: {NO_UTF_8}"),
    "Big5": (table(row()).encode("big5"), f"m.csv line 2: {NO_UTF_8}"),
    "Latin-1": (table(row(text="é")).encode("latin-1"), f"m.csv line 2: {NO_UTF_8}"),
    "UTF-16 without a mark": (table(row()).encode("utf-16-le"), NO_MARK),
    "UTF-32": (table(row()).encode("utf-32"), NO_MARK),
    "half a UTF-16": (table(row()).encode("utf-16")[:-1], HALF),
    "half a character": (table(row()).encode("utf-16").replace("你".encode("utf-16-le"), b"\x00\xd8"), HALF),
    "semicolons": (table(row()).replace(",", ";"), f"m.csv: its cells are separated by semicolons; {SAVE} with commas"),
    "tabs": (table(row()).replace(",", "\t"), f"m.csv: its cells are separated by tabs; {SAVE} with commas"),
    "an open quote": (table(row(text='"你好')), QUOTE.format("unexpected end of data")),
    "a single quote": (table(row(text='"你"好"')), QUOTE.format("',' expected after '\"'")),
    "a comma": (table(row(text="你,好")), COMMA),
    "xlsx": (b"PK\x03\x04" + bytes(99), f"m.csv: this is a spreadsheet (xlsx or ods), whatever its name; {SAVE}"),
    "xls": (b"\xd0\xcf\x11\xe0" + bytes(99), f"m.csv: this is a spreadsheet (xls), whatever its name; {SAVE}"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), f"m.csv line 1: {NO_UTF_8}"),
    "nothing": (b"", "m.csv: the file is empty; add a line of column names and one row per clip"),
    "no names": (row(), "m.csv: columns without a name; its first line must hold the name of each column"),
    "a column twice": (table(row()).replace("label_T", "label"), "m.csv: two columns are called 'label'; rename or remove one"),
}

FAULTY = {
    "no row": (HEAD, "m.csv: no rows; add one row per clip"),
    "another column": (
        table(row() + ",x", head=HEAD + ",speaker"),
        f"m.csv: unknown column 'speaker'; the columns are {', '.join(COLUMNS)}",
    ),
    "NUL": (table(row(text="你\0好")), told(CHARACTER)),
    "nan": (table(row(label="nan")), told(f"label: 'nan' {NUMBER}")),
    "a comma in a number": (table(row(label='"0,5"')), told(f"label: '0,5' {NUMBER}")),
    "a share": (table(row(label="50%")), told(f"label: '50%' {NUMBER}")),
    "a number without end": (table(row(label="9" * 4000)), told(f"label: '{'9' * 199}...; {CURE}")),
    "no mode": (table(row(mode="")), told("mode: it is empty; write train, valid or test")),
    "a row twice": (table(row(), row()), told("duplicate of line 2; give each clip of a video its own clip_id", line=3)),
    "a folder above": (table(row(clip_id="../../x")), told(SLASH, name="v/../../x")),
    "a mark inside": (table(row(video_id="\ufeffv")), told(UNSEEN, name="\\ufeffv/1")),
    "a path too long": (table(row(path="a" * 5000)), told(NO_FILE.format("a" * 200 + "..."))),
    "a folder": (table(row(path=".")), told(NO_FILE.format("."))),
    "a shell's command": (table(row(path=quoted('a"; touch x; "'))), told(NO_FILE.format('a"; touch x; "'))),
}

TEXTS = {
    "a formula": '=HYPERLINK("http://127.0.0.1:9/","你好")',
    "60,000 characters": "好" * 60_000,
    "200,000 characters": "好" * 200_000,
    "quotes and line breaks": '他说,\n"好"\r\n\r\n""',
    "a script": "<script>alert(1)</script>",
    "the other direction": "\u202eabc\u202c",
    "accents": "a" + "\u0301" * 5000,
    "a family": "👩‍👩‍👧‍👦" * 100,
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video.mp4").touch()

    def write(content):
        path = tmp_path / "m.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path.relative_to(tmp_path)

    return write


@pytest.mark.parametrize("name", [*UNREADABLE, *FAULTY])
def test_a_bad_manifest_is_refused_word_for_word(write, name):
    content, words = (UNREADABLE | FAULTY)[name]
    with pytest.raises(UserError) as refused:
        read_manifest(write(content))
    assert str(refused.value) == words


@pytest.mark.parametrize("name", UNREADABLE)
def test_nothing_is_added_to_a_file_that_cannot_be_read(write, name):
    content, words = UNREADABLE[name]
    with pytest.raises(UserError) as refused:
        existing_rows(write(content))
    assert str(refused.value) == words


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_kept_letter_by_letter(write, name, encoding):
    path = write(table(row(text=quoted(TEXTS[name]))).encode(encoding))
    before = path.read_bytes()
    append(path, COLUMNS, [dict(zip(COLUMNS, row(clip_id="2").split(","), strict=True)) | {"text": TEXTS[name]}])
    assert path.read_bytes().startswith(before)
    assert read_manifest(path)["text"].tolist() == [TEXTS[name]] * 2
