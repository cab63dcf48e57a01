"""Reading a table that people have edited: every cell as it was meant, or one line that says what is wrong and the cure."""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.command import UserError

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SPREADSHEETS = {b"PK\x03\x04": "xlsx or ods", b"\xd0\xcf\x11\xe0": "xls"}
SAVE = "save the table as 'CSV UTF-8'"
csv.field_size_limit(2**31 - 1)  # a long text is told of where texts are read
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass
class Line:
    """A row of a table; `number` is the line of the file at which it begins, `cells` are by column."""

    number: int
    cells: dict[str, str]


def number_of(cell: str) -> float | None:
    """What a cell of a number says; None if it is blank. Digits of every script and full width count as the plain ones.

    Raises ValueError if it is no number, or not a finite one.
    """
    text = cell.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").strip()
        text = "".join(str(unicodedata.decimal(letter, letter)) for letter in text)
    if not text:
        return None
    value = float(text) if NUMBER.fullmatch(text) else float("inf")
    if abs(value) == float("inf"):
        raise ValueError(f"'{cell}' is no number")
    return value


def read_lines(path: str | Path) -> list[Line]:
    """The rows of a CSV file, at least one; see `read_table`."""
    _, lines = read_table(path)
    if not lines:
        raise UserError(f"{path}: no rows; add one row per clip")
    return lines


def read_table(path: str | Path) -> tuple[list[str], list[Line]]:
    """Read a CSV file with a line of column names, in UTF-8, or in UTF-16 that says so by its first two bytes.

    Returns
    -------
    list of str, list of Line
        The columns, and the rows, of which there may be none.

    Raises
    ------
    UserError
        If the file cannot be read or is no CSV file; with the line and the cure.
    """
    rows = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    lines: list[Line] = []
    columns: list[str] = []
    begins = 1
    try:
        for cells in rows:
            if any(cells) and not columns:
                columns = _columns(path, cells)
            elif any(cells):
                if len(cells) != len(columns):
                    raise UserError(
                        f"{path} line {begins}: {len(cells)} cells for {len(columns)} columns; put a text that holds a comma, "
                        "a quote or a line break between quotes"
                    )
                lines.append(Line(begins, dict(zip(columns, cells, strict=True))))
            begins = rows.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path} line {begins}: a quote without its partner ({error}); double each quote inside a text"
        ) from error
    return columns, lines


def _columns(path: str | Path, cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and mark in columns[0]:
            raise UserError(f"{path}: its cells are separated by {name}; {SAVE} with commas")
    if columns.count("") > 1:
        raise UserError(f"{path}: columns without a name; its first line must hold the name of each column")
    for column in columns:
        if columns.count(column) > 1:
            raise UserError(f"{path}: two columns are called '{column}'; rename or remove one")
    return columns


def _text(path: str | Path) -> str:
    content = Path(path).read_bytes()
    if not content.strip():
        raise UserError(f"{path}: the file is empty; add a line of column names and one row per clip")
    for mark, name in SPREADSHEETS.items():
        if content.startswith(mark):
            raise UserError(f"{path}: this is a spreadsheet ({name}), whatever its name; {SAVE}")
    utf16 = content.startswith(UTF16_MARKS)
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        other = "whole UTF-16" if utf16 else "in UTF-8 (perhaps in GBK)"
        raise UserError(f"{path} line {line}: the file is not {other}; {SAVE}") from error
    if "\0" in text.split("\n", 1)[0]:
        raise UserError(f"{path}: the file is in UTF-16 without saying so, or no text at all; {SAVE}")
    return text
