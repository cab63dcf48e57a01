"""A page with a table of clips, to look at in a browser: it opens from disk, sorts, filters and opens clips.

What belongs to a clip is loaded from `videos/<video_id>/` beside the page when it is opened. The part of the address after `#`
says what is shown: flag=no_face, search=..., sort=success, descending=1, clip=video_0001/0001.
"""

from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

import pandas as pd

PARTS = Path(__file__).with_name("page_parts")


@dataclass(frozen=True)
class Page:
    """A kind of page: headings by the key of their column, among them video, clip, flags and text; formats of numbers."""

    headings: dict[str, str]
    numbers: dict[str, str]

    def row_html(self, row: dict) -> str:
        """The row of one clip; numbers carry their exact value for sorting."""
        cells = []
        for key in self.headings:
            value = row[key]
            if key in self.numbers:
                known = not pd.isna(value)
                shown, exact = (self.numbers[key].format(value), f"{value:g}") if known else ("–", "")
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

    def html(self, table: pd.DataFrame, title: str, facts: str) -> str:
        """The page.

        table : a row per clip, with the columns of `headings` and `message`. title, facts : what the page says of them all.
        """
        parts = {path.name: path.read_text(encoding="utf-8") for path in PARTS.iterdir()}
        heads = [
            f'<th scope="col" class="{key}"><button type="button" data-sort="{key}">{name}</button></th>'
            for key, name in self.headings.items()
        ]
        return Template(parts["page.html"]).substitute(
            title=escape(title),
            facts=facts,
            style=parts["page.css"],
            script="\n".join(parts[name] for name in ("panels.js", "reasons.js", "page.js")),
            filters=filters_html(table),
            heads="\n".join(heads),
            rows="\n".join(self.row_html(row) for row in table.to_dict("records")),
        )


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
