"""The quality page: every clip of the corpus with its flags, and what was measured on it, to look at in a browser.

    python -m pipeline.pages.qc --manifest data_manifest.csv --quality results/quality.csv --videos results/qc/videos \
        --corpus 'synthetic demo corpus' --output results/qc/index.html

It has one table of all clips (page.py); the contact sheet and the curves of a clip come from `pipeline.pages.qc_video`.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.pages.page import Page
from pipeline.sources.manifest_table import rows_of_all

PAGE = Page(
    headings={
        "video": "Video",
        "clip": "Clip",
        "split": "Split",
        "seconds": "Length (s)",
        "success": "Face found (%)",
        "confidence": "Confidence",
        "f0": "F0 (Hz)",
        "flags": "Flags",
        "text": "Transcript",
    },
    numbers={"seconds": "{:.1f}", "success": "{:.1f}", "confidence": "{:.2f}", "f0": "{:.0f}"},
)


def read_clips_table(manifest: str | Path, quality: str | Path, videos: Path) -> pd.DataFrame:
    """All clips in the order of the manifest: the columns of `PAGE.headings`, and `message`; success in percent.

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
    return table[[*PAGE.headings, "message"]]


def page_html(table: pd.DataFrame, corpus: str) -> str:
    """The page of a table from `read_clips_table`."""
    found, seconds = table["success"].dropna(), table["seconds"].dropna().astype(float)
    facts = f"clips: {len(table)}, videos: {table['video'].nunique()}, length: {seconds.sum():,.0f} s"
    if len(found):
        facts += f", a face in {found.mean():.2f} % of the frames of a clip on average"
    return PAGE.html(table, f"Quality of {corpus}", facts)


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
