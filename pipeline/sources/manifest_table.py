"""The manifest: one row per clip; reading and checking it."""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from pathlib import Path

import jsonschema
import pandas as pd
import yaml

from pipeline.base.command import UserError, printable
from pipeline.sources.manifest_file import Line, number_of, read_lines
from pipeline.sources.names import FORMATS

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "manifest.schema.yaml"
NUMBERS = ["start", "end", "label", "label_T", "label_A", "label_V"]
LABELS = ["label", "label_T", "label_A", "label_V"]
COLUMNS = ["video_id", "clip_id", "path", "start", "end", "text", *LABELS, "mode"]
DRAFT = "draft"  # a column that may be there: 'text' where a machine wrote the text and no person has looked at it yet
NEEDED = ["video_id", "clip_id", "path"]
TASKS = dict(zip(LABELS, "MTAV", strict=True))
SHORTEST = 1 / 30  # s, a frame of the clips that are cut
FAULTS_SHOWN = 20
LONGEST_SHOWN = 200  # characters of what a cell holds


class ManifestError(UserError):
    """The manifest cannot be used; the message names every faulty row and the cure."""


def read_manifest(
    path: str | Path, label_range: tuple[float, float] = (-1.0, 1.0), made: Collection[str] = (), to_predict: bool = False
) -> pd.DataFrame:
    """Read a manifest and check every row.

    Parameters
    ----------
    path : str or Path
        CSV file with the columns `COLUMNS`, UTF-8.
    label_range : tuple of float
        Lowest and highest label of the corpus.
    made : collection of str
        Raw videos that the workflow itself makes, and which need not exist yet.
    to_predict : bool
        Of the columns only `NEEDED` must be there, and mode may be empty.

    Returns
    -------
    pd.DataFrame
        The rows in file order. Ids and text are str (leading zeros kept, missing text is ''), numbers float with NaN
        for an empty cell.

    Raises
    ------
    ManifestError
        If the file is missing, or if any row has a fault; one line per fault.
    """
    if not Path(path).is_file():
        raise ManifestError(f"{path}: no such manifest; set `manifest:` in the config to an existing CSV file")
    lines = read_lines(path)
    _complete(path, lines, NEEDED if to_predict else COLUMNS)
    if to_predict:
        for line in lines:
            line.cells["mode"] = line.cells["mode"] or "test"  # as the test split: nothing is learned from it
    check_rows(path, lines, label_range, made)
    return table_of(lines)


def check_rows(
    path: str | Path, lines: Iterable[Line], label_range: tuple[float, float] = (-1.0, 1.0), made: Collection[str] = ()
) -> None:
    """Raise ManifestError if any row has a fault; one line per fault, with the row's line in the file at `path`."""
    faults, check = [], _checker_of_cells()
    seen: dict[tuple[str, str], int] = {}
    files: dict[str, bool] = {}
    for line in lines:
        row = line.cells
        where = f"{path} line {line.number} ({_short(row['video_id'])}/{_short(row['clip_id'])})"
        faults += [f"{where}: {fault}" for fault in _row_faults(row, check, label_range)]
        first = seen.setdefault((row["video_id"], row["clip_id"]), line.number)
        if first != line.number:
            faults.append(f"{where}: duplicate of line {first}; give each clip of a video its own clip_id")
        source = row["path"]
        if source not in files:
            files[source] = source in made or _is_file(source)
        if source and not files[source]:
            faults.append(f"{where}: path: no such file '{_short(source)}'; correct the path or put the video there")
    if faults:
        more = f"\n... and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        shown = "\n".join(map(_one_line, faults[:FAULTS_SHOWN]))
        raise ManifestError(f"{len(faults)} fault(s) in the manifest:\n{shown}{more}")


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _one_line(fault: str) -> str:
    """A fault as one line, whatever the cells hold."""
    return printable(fault).replace("\n", "\\n")


def _complete(path: str | Path, lines: list[Line], needed: Iterable[str]) -> None:
    """Give the rows empty cells in the columns that are not there; raises ManifestError if one is needed, or unknown."""
    cells = lines[0].cells
    faults = [f"missing column '{column}'" for column in needed if column not in cells]
    faults += [f"unknown column '{column}'" for column in cells if column not in (*COLUMNS, DRAFT)]
    if faults:
        raise ManifestError(f"{path}: {', '.join(faults)}; the columns are {', '.join(COLUMNS)}")
    for line in lines:
        line.cells = dict.fromkeys(COLUMNS, "") | line.cells


def table_of(lines: list[Line]) -> pd.DataFrame:
    table = pd.DataFrame([line.cells for line in lines], columns=COLUMNS)
    for name in NUMBERS:
        table[name] = pd.Series([number_of(cell) for cell in table[name]], dtype=float, index=table.index)
    return table


def draft_count(path: str | Path) -> int:
    """How many texts of a manifest a machine wrote and no person has looked at."""
    return sum(bool(line.cells.get(DRAFT, "").strip()) for line in read_lines(path))


def labelled_tasks(table: pd.DataFrame) -> tuple[str, ...]:
    """The tasks (M, T, A, V) for which clips of every split have a label; they can be learned and scored."""
    labels = table[LABELS].notna().groupby(table["mode"]).any().reindex(["train", "valid", "test"], fill_value=False)
    return tuple(task for label, task in TASKS.items() if labels[label].all())


def rows_of_all(path: str | Path) -> pd.DataFrame:
    """All rows of a manifest that `read_manifest` has checked before; same types."""
    lines = read_lines(path)
    _complete(path, lines, NEEDED)
    return table_of(lines)


def rows_of_video(path: str | Path, video_id: str) -> pd.DataFrame:
    """The rows of one video, in file order; see `rows_of_all`.

    Raises
    ------
    ManifestError
        If the manifest has no clip of this video.
    """
    lines = read_lines(path)
    _complete(path, lines, NEEDED)
    chosen = [line for line in lines if line.cells["video_id"] == video_id]
    if not chosen:
        raise ManifestError(f"{path} has no clip of video '{video_id}'; check the video id")
    return table_of(chosen)


def _checker_of_cells() -> Callable[[str, str | float | None], list[str]]:
    """A function (column, cell) -> faults, by the schema; modes, names of videos and labels come again and are kept."""
    validator = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")), format_checker=FORMATS)
    validators = {name: validator.evolve(schema=schema) for name, schema in validator.schema["properties"].items()}

    def check(name: str, cell: str | float | None) -> list[str]:
        errors = validators[name].iter_errors(cell)
        reasons = ["it is empty" if cell is None else _short(str(error.cause or error.message)) for error in errors]
        return [f"{name}: {reason}; {validators[name].schema['cure']}" for reason in reasons]

    kept = lru_cache(maxsize=1 << 16)(check)
    return lambda name, cell: (check if name == "text" else kept)(name, cell)


def _row_faults(
    row: dict, check: Callable[[str, str | float | None], list[str]], label_range: tuple[float, float]
) -> list[str]:
    cells = {name: _cell(name, value) for name, value in row.items()}
    faults = [fault for name in sorted(cells) for fault in check(name, cells[name])]
    if faults:
        return faults
    low, high = label_range
    for name in LABELS:
        if cells[name] is not None and not low <= cells[name] <= high:
            faults.append(f"{name}: {cells[name]} is outside [{low}, {high}]; correct the label or set `label_range`")
    start, end = cells["start"], cells["end"]
    if (start is None) != (end is None):
        faults.append("start, end: only one of them is given; give both, or neither if the file is the clip")
    elif start is not None and end <= start:
        faults.append(f"end: {end} is not after start {start}; a clip needs a length, correct the times")
    elif start is not None and end - start < SHORTEST:
        faults.append(f"end: {end} is less than a frame (1/30 s) after start {start}; correct the times")
    return faults


def _cell(name: str, value: str) -> str | float | None:
    if name not in NUMBERS:
        return value if value.strip() else None
    try:
        return number_of(value)
    except ValueError:
        return value
