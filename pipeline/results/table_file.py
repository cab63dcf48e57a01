"""What a table of results holds: config/tables/<name>.yaml, read and checked.

    caption: Multimodal sentiment analysis              # heading
    source: CH-SIMS (Yu et al., ACL 2020), Table 2      # where the table stands
    label_range: [-1, 1]                                # only for corpora with such labels; if absent, for all
    metrics: [acc2, f1, mae, corr]                      # columns, of models/metrics.py: those that the corpus has
    rows:                                               # in the order of the paper
      - {label: LF-DNN, run: lf_dnn}
      - {label: MLF-DNN, run: mlf_dnn, minus: LF-DNN}   # and, below it, the difference of the two rows
      - {label: "A, own label", run: unimodal_audio, task: A}    # task: the label that is scored, M unless given
    published:                                          # percent; never printed beside another corpus
      CH-SIMS:
        note: what is known of these numbers
        rows:
          LF-DNN: {acc2: 79.87, f1: 80.20, note: of this row alone}

A run is a system (models/__init__.py) or a variant of one (config/variants.yaml).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from pipeline.base.command import UserError

KEYS = {"caption", "source", "label_range", "metrics", "rows", "published"}


@dataclass(frozen=True)
class Row:
    """One run in a table; `minus` is the label of the row that a row of differences compares it with, empty for none."""

    label: str
    run: str
    task: str = "M"
    minus: str = ""


@dataclass(frozen=True)
class Published:
    """Numbers of a paper for one corpus: {row label: {metric: percent, and perhaps 'note': text}}."""

    rows: dict[str, dict]
    note: str = ""


@dataclass(frozen=True)
class TableFile:
    """The content of a table file."""

    caption: str
    source: str
    metrics: list[str]
    rows: list[Row]
    published: dict[str, Published]
    label_range: Sequence[float] = ()

    def suits(self, label_range: Sequence[float]) -> bool:
        """Whether the table is made for a corpus with labels in this range."""
        return not self.label_range or tuple(self.label_range) == tuple(label_range)

    def without(self, runs: Collection[str]) -> "TableFile":
        """The table without the rows of these runs; a row that was compared with one of them stands alone."""
        rows = [row for row in self.rows if row.run not in runs]
        left = {row.label for row in rows}
        return replace(self, rows=[row if row.minus in left else replace(row, minus="") for row in rows])

    @property
    def runs(self) -> list[str]:
        """Names of all runs, each once, in the order of the rows."""
        return list(dict.fromkeys(row.run for row in self.rows))

    @property
    def tasks(self) -> list[str]:
        """Labels that are scored, each once, in the order of the rows."""
        return list(dict.fromkeys(row.task for row in self.rows))


def read_table_file(path: str | Path) -> TableFile:
    """Read config/tables/<name>.yaml.

    Raises
    ------
    UserError
        If a key is unknown or missing, a label stands twice, or `minus` or a published row names no row; with the file.
    """
    values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    try:
        if set(values) - KEYS:
            raise ValueError(f"unknown key '{min(set(values) - KEYS)}'; the keys are {', '.join(sorted(KEYS))}")
        rows = [Row(**row) for row in values["rows"]]
        published = {corpus: Published(**numbers) for corpus, numbers in values.get("published", {}).items()}
        label_range = values.get("label_range", ())
        table = TableFile(values["caption"], values["source"], values["metrics"], rows, published, label_range)
        _check(table)
    except KeyError as error:
        raise UserError(f"{path}: missing key {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    return table


def _check(table: TableFile) -> None:
    labels = [row.label for row in table.rows]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"two rows are called '{label}'; give each a label of its own")
    for row in table.rows:
        if row.minus and row.minus not in labels:
            raise ValueError(f"row '{row.label}' is compared with '{row.minus}', which is no row")
    for corpus, published in table.published.items():
        for label, numbers in published.rows.items():
            if label not in labels:
                raise ValueError(f"published numbers of {corpus} for '{label}', which is no row")
            unknown = set(numbers) - {*table.metrics, "note"}
            if unknown:
                raise ValueError(f"published numbers of {corpus}, row '{label}': '{min(unknown)}' is none of the metrics")
