"""The quality page: every clip of the corpus with its flags, and what was measured on it, to look at in a browser.

    python -m pipeline.qc --manifest data_manifest.csv --quality results/quality.csv --videos results/qc/videos \
        --corpus 'synthetic demo corpus' --output results/qc/index.html

The page opens from disk. It has one table of all clips; the contact sheet and the curves of a clip are loaded from
`videos/<video_id>/` beside it (see `pipeline.qc_video`) when the clip is opened. The part of its address after `#` says
what is shown: flag=no_face, search=..., sort=success, descending=1, clip=video_0001/0001.
"""

import argparse
import json
from collections import Counter
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

import pandas as pd

from pipeline.command import UserError, run_command
from pipeline.io import replacing
from pipeline.manifest import rows_of_all

PARTS = Path(__file__).with_name("qc_page")
# Key by which the page sorts -> heading of the column.
HEADINGS = {
    "video": "Video",
    "clip": "Clip",
    "split": "Split",
    "seconds": "Length (s)",
    "success": "Face found (%)",
    "confidence": "Confidence",
    "f0": "F0 (Hz)",
    "flags": "Flags",
    "text": "Transcript",
}
NUMBERS = {"seconds": "{:.1f}", "success": "{:.1f}", "confidence": "{:.2f}", "f0": "{:.0f}"}


def read_clips_table(manifest: str | Path, quality: str | Path, videos: Path) -> pd.DataFrame:
    """All clips in the order of the manifest: the columns of `HEADINGS`, and `message`; success in percent.

    Raises
    ------
    ValueError
        If a clip of the manifest has no quality flags, or was not summed up with its video.
    """
    key = ["video_id", "clip_id"]
    flags = pd.read_csv(quality, dtype=str, keep_default_na=False)
    found = []
    for video_id in flags["video_id"].unique():
        entries = json.loads((videos / video_id / "summary.json").read_text(encoding="utf-8"))
        found.append(pd.DataFrame(entries).assign(video_id=video_id))
    table = rows_of_all(manifest)[[*key, "text"]].merge(flags, on=key, how="left")
    table = table.merge(pd.concat(found), on=key, how="left", indicator=True)
    lost = table[table["flags"].isna() | (table["_merge"] != "both")]
    if len(lost):
        first = lost.iloc[0]
        raise UserError(
            f"{len(lost)} clips of {manifest}, first {first.video_id}/{first.clip_id}, are not in {quality} or {videos}; "
            "make both again"
        )
    table = table.rename(columns={"video_id": "video", "clip_id": "clip", "mode": "split"})
    table["success"] = 100 * table["success"].astype(float)
    return table[[*HEADINGS, "message"]]


def row_html(row: dict) -> str:
    """The row of one clip; numbers carry their exact value for sorting."""
    cells = []
    for key in HEADINGS:
        value = row[key]
        if key in NUMBERS:
            known = not pd.isna(value)
            shown, exact = (NUMBERS[key].format(value), f"{value:g}") if known else ("–", "")
            cells.append(f'<td class="number" data-value="{exact}">{shown}</td>')
        elif key == "clip":
            address = quote(f"{row['video']}/{value}", safe="")
            cells.append(f'<td><a href="#clip={address}">{escape(value)}</a></td>')
        elif key == "flags":
            names = "".join(f'<span class="flag">{escape(flag)}</span> ' for flag in value.split(";") if flag)
            message = f'<div class="message">{escape(row["message"])}</div>' if row["message"] else ""
            cells.append(f'<td class="flags">{names}{message}</td>')
        else:
            cells.append(f'<td class="{key}">{escape(value)}</td>')
    return f'<tr data-flags="{escape(row["flags"])}">{"".join(cells)}</tr>'


def filters_html(table: pd.DataFrame) -> str:
    """A button for every flag, and for all clips, those with any flag and those with none."""
    counts = Counter(flag for flags in table["flags"] for flag in flags.split(";") if flag)
    flagged = int((table["flags"] != "").sum())
    buttons = [("", "all clips", len(table)), ("none", "without flag", len(table) - flagged), ("any", "any flag", flagged)]
    buttons += [(flag, flag, count) for flag, count in sorted(counts.items())]
    return "\n".join(
        f'<button type="button" data-flag="{escape(flag)}" aria-pressed="false">{escape(label)} <b>{count}</b></button>'
        for flag, label, count in buttons
    )


def page_html(table: pd.DataFrame, corpus: str) -> str:
    """The page of a table from `read_clips_table`."""
    parts = {path.name: path.read_text(encoding="utf-8") for path in PARTS.iterdir()}
    heads = [
        f'<th scope="col" class="{key}"><button type="button" data-sort="{key}">{name}</button></th>'
        for key, name in HEADINGS.items()
    ]
    found, seconds = table["success"].dropna(), table["seconds"].dropna().astype(float)
    facts = f"clips: {len(table)}, videos: {table['video'].nunique()}, length: {seconds.sum():,.0f} s"
    if len(found):
        facts += f", a face in {found.mean():.2f} % of the frames of a clip on average"
    return Template(parts["page.html"]).substitute(
        corpus=escape(corpus),
        facts=facts,
        style=parts["page.css"],
        panels_script=parts["panels.js"],
        page_script=parts["page.js"],
        filters=filters_html(table),
        heads="\n".join(heads),
        rows="\n".join(row_html(row) for row in table.to_dict("records")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--quality", required=True, help="quality.csv of the corpus")
    parser.add_argument("--videos", type=Path, required=True, help="folder with what is shown of each video")
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    table = read_clips_table(arguments.manifest, arguments.quality, arguments.videos)
    with replacing(arguments.output) as temporary:
        temporary.write_text(page_html(table, arguments.corpus), encoding="utf-8")
    print(f"{arguments.output}: {len(table)} clips")


if __name__ == "__main__":
    run_command(main)
