"""The manifest: one row per clip. Reading and checking it, and making one from CH-SIMS's label.csv.

python -m pipeline.manifest --labels CH-SIMS/label.csv --raw CH-SIMS/Raw --output ch_sims_manifest.csv
"""

import argparse
from collections.abc import Collection
from pathlib import Path

import jsonschema
import pandas as pd
import yaml

from pipeline.io import replacing

SCHEMA = Path(__file__).parent.parent / "workflow" / "schemas" / "manifest.schema.yaml"
NUMBERS = ["start", "end", "label", "label_T", "label_A", "label_V"]
LABELS = ["label", "label_T", "label_A", "label_V"]
COLUMNS = ["video_id", "clip_id", "path", "start", "end", "text", *LABELS, "mode"]


class ManifestError(ValueError):
    """The manifest cannot be used; the message names every faulty row and the cure."""


def read_manifest(path: str | Path, label_range: tuple[float, float] = (-1.0, 1.0), made: Collection[str] = ()) -> pd.DataFrame:
    """Read a manifest and check every row.

    Parameters
    ----------
    path : str or Path
        CSV file with the columns `COLUMNS`, UTF-8.
    label_range : tuple of float
        Lowest and highest label of the corpus.
    made : collection of str
        Raw videos that the workflow itself makes, and which need not exist yet.

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
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing = [column for column in COLUMNS if column not in table.columns]
    unknown = [column for column in table.columns if column not in COLUMNS]
    if missing or unknown:
        faults = [f"missing column '{column}'" for column in missing] + [f"unknown column '{column}'" for column in unknown]
        raise ManifestError(f"{path}: {', '.join(faults)}; the columns are {', '.join(COLUMNS)}")
    if table.empty:
        raise ManifestError(f"{path}: no rows; add one row per clip")
    faults = []
    validator = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    seen: dict[tuple[str, str], int] = {}
    files: dict[str, bool] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        where = f"{path} line {line} ({row['video_id']}/{row['clip_id']})"
        faults += [f"{where}: {fault}" for fault in _row_faults(row, validator, label_range)]
        first = seen.setdefault((row["video_id"], row["clip_id"]), line)
        if first != line:
            faults.append(f"{where}: duplicate of line {first}; give each clip of a video its own clip_id")
        source = row["path"]
        if source not in files:
            files[source] = source in made or Path(source).is_file()
        if source and not files[source]:
            faults.append(f"{where}: path: no such file '{source}'; correct the path or put the video there")
    if faults:
        shown = "\n".join(faults[:20]) + (f"\n... and {len(faults) - 20} more" if len(faults) > 20 else "")
        raise ManifestError(f"{len(faults)} fault(s) in the manifest:\n{shown}")
    return rows_of_all(path)


def rows_of_all(path: str | Path) -> pd.DataFrame:
    """All rows of a manifest that `read_manifest` has checked before; same types."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table[NUMBERS] = table[NUMBERS].apply(pd.to_numeric)
    return table[COLUMNS]


def rows_of_video(path: str | Path, video_id: str) -> pd.DataFrame:
    """The rows of one video, in file order; see `rows_of_all`.

    Raises
    ------
    ManifestError
        If the manifest has no clip of this video.
    """
    table = rows_of_all(path)
    rows = table[table["video_id"] == video_id]
    if rows.empty:
        raise ManifestError(f"{path} has no clip of video '{video_id}'; check the video id")
    return rows


def _row_faults(row: dict, validator: jsonschema.Draft202012Validator, label_range: tuple[float, float]) -> list[str]:
    cells = {name: _cell(name, value) for name, value in row.items()}
    errors = sorted(validator.iter_errors(cells), key=lambda error: list(error.absolute_path))
    faults = [f"{error.absolute_path[0]}: {error.message}; {error.schema['cure']}" for error in errors]
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
    return faults


def _cell(name: str, value: str) -> str | float | None:
    if value.strip() == "":
        return None
    if name in NUMBERS:
        try:
            number = float(value)
        except ValueError:
            return value
        return number if abs(number) < float("inf") else value
    return value


def manifest_from_labels(labels: str | Path, raw: str | Path) -> pd.DataFrame:
    """Turn CH-SIMS's label.csv into a manifest; each clip is a file of its own, `<raw>/<video_id>/<clip_id>.mp4`.

    Parameters
    ----------
    labels : str or Path
        label.csv: video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode.
    raw : str or Path
        The Raw folder.

    Returns
    -------
    pd.DataFrame
        The manifest, rows in the order of label.csv; clip ids are padded to four digits, as the files are named.

    Raises
    ------
    ManifestError
        If a column is missing.
    """
    table = pd.read_csv(labels, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    needed = ["video_id", "clip_id", "text", *LABELS, "mode"]
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise ManifestError(f"{labels}: missing column(s) {', '.join(missing)}; give the label.csv of CH-SIMS")
    table["clip_id"] = table["clip_id"].str.zfill(4)
    table["path"] = [str(Path(raw) / row.video_id / f"{row.clip_id}.mp4") for row in table.itertuples()]
    table["start"] = table["end"] = ""
    return table[COLUMNS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", required=True, help="label.csv of CH-SIMS")
    parser.add_argument("--raw", required=True, help="its Raw folder")
    parser.add_argument("--output", required=True, help="the manifest to write")
    arguments = parser.parse_args()
    table = manifest_from_labels(arguments.labels, arguments.raw)
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, index=False)
    read_manifest(arguments.output)
    print(f"{arguments.output}: {len(table)} clips of {table.video_id.nunique()} videos")


if __name__ == "__main__":
    main()
