"""Rows of a table to a `Reading`: by the columns that the recipe names, else by whichever known form they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.data.corpus import dailydialog, spolin, tabular
from training.data.corpus.assemble import Reading
from training.data.corpus.json_rows import json_rows
from training.data.corpus.named_columns import named_rows


def reading_of_rows(rows: Iterable[Any], counts: Counter[str], columns: Mapping[str, str]) -> Reading:
    """Reads rows as `datasets` gives them. Raises CorpusError where a column of `columns` is not there."""
    if columns:
        return tabular.read(named_rows(rows, columns, counts), counts)
    reading = tabular.read(dailydialog.closed_up_rows(spolin.as_dialogs(rows, counts), counts), counts)
    if counts[spolin.READ]:
        reading.rights = spolin.RIGHTS
    return reading


def reading_of_table(path: Path, form: str, columns: Mapping[str, str]) -> Reading:
    """Reads a file of rows, "json" or "parquet". Raises OSError, ValueError or UserError where it cannot be parsed."""
    counts = Counter[str]()
    if form == "parquet":
        return reading_of_rows(tabular.parquet_rows(path), counts, columns)
    reading = reading_of_rows(json_rows(lambda: path.open("rb"), path.name, counts), counts, columns)
    if counts["rows that cannot be read"] and not counts["conversations in the source"]:
        tabular.note_shape(reading, "its rows are no JSON: a .jsonl file has an object a line")
    return reading
