"""Make a manifest of the label file of a published corpus.

    python -m pipeline.manifest --labels CH-SIMS/label.csv --raw CH-SIMS/Raw --output ch_sims_manifest.csv
    python -m pipeline.manifest --labels MOSI/label.csv --raw MOSI/Raw --label-range -3 3 --output mosi_manifest.csv

Label files: video_id, clip_id, text, label, mode, and perhaps label_T, label_A, label_V; other columns are passed over. A clip
is a file of its own, <raw>/<video_id>/<clip_id>.mp4 (or another ending); leading zeros that a spreadsheet has dropped are found
again by the names of the files.
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.sources.manifest_file import read_lines
from pipeline.sources.manifest_table import LABELS, ManifestError, check_rows, table_of


def manifest_from_labels(labels: str | Path, raw: str | Path, label_range: tuple[float, float] = (-1.0, 1.0)) -> pd.DataFrame:
    """Turn the label file of a published corpus into a manifest, and check it; see the module docstring.

    Parameters
    ----------
    labels : str or Path
        label.csv of CH-SIMS, MOSI or MOSEI, or meta.csv of CH-SIMS v2.
    raw : str or Path
        The Raw folder.
    label_range : tuple of float
        Lowest and highest label of the corpus.

    Returns
    -------
    pd.DataFrame
        The manifest, rows in the order of the label file; ids as the folders and files are named.

    Raises
    ------
    ManifestError
        If a column or a file is missing, or a row has a fault.
    """
    if not Path(raw).is_dir():
        raise ManifestError(f"{raw}: no such folder; give the folder that holds a folder per video")
    lines = read_lines(labels)
    missing = [column for column in ("video_id", "clip_id", "text", "label", "mode") if column not in lines[0].cells]
    if missing:
        raise ManifestError(f"{labels}: missing column(s) {', '.join(missing)}; give the label file of the corpus")
    videos = {path.name: path for path in sorted(Path(raw).iterdir()) if path.is_dir()}
    files: dict[Path, dict[str, Path]] = {}
    for line in lines:
        cells = line.cells
        folder = _called(cells["video_id"], videos, Path(raw) / cells["video_id"])
        if folder not in files:
            inside = sorted(folder.iterdir()) if folder.is_dir() else []
            files[folder] = {path.stem: path for path in inside if path.is_file()}
        path = _called(cells["clip_id"], files[folder], folder / f"{cells['clip_id']}.mp4")
        row = {"video_id": folder.name, "clip_id": path.stem, "path": str(path), "start": "", "end": "", "text": cells["text"]}
        row |= {name: cells.get(name, "") for name in LABELS} | {"mode": cells["mode"].strip().lower()}
        line.cells = row
    check_rows(labels, lines, label_range)
    return table_of(lines)


def _called(name: str, found: dict[str, Path], otherwise: Path) -> Path:
    """Of what there is, that which is called so, or by the same number with other leading zeros."""
    if name in found:
        return found[name]
    same = [path for other, path in found.items() if name.isdecimal() and other.isdecimal() and int(other) == int(name)]
    return same[0] if len(same) == 1 else otherwise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", required=True, help="label file of the corpus")
    parser.add_argument("--raw", required=True, help="its Raw folder")
    parser.add_argument("--output", required=True, help="the manifest to write")
    parser.add_argument("--label-range", nargs=2, type=float, default=(-1.0, 1.0), metavar=("LOW", "HIGH"))
    arguments = parser.parse_args()
    table = manifest_from_labels(arguments.labels, arguments.raw, tuple(arguments.label_range))
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, index=False)
    print(f"{arguments.output}: {len(table)} clips of {table.video_id.nunique()} videos")


if __name__ == "__main__":
    run_command(main)
