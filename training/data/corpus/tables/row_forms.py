"""Rows of a table to `Reading`s: by the columns that the recipe names, else by whichever known form they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from training.data.corpus.assemble import Reading
from training.data.corpus.tables import dailydialog, spolin, tabular
from training.data.corpus.tables.json_rows import json_rows
from training.data.corpus.tables.named_columns import named_rows


def readings_of_rows(
    rows: Iterable[Any], counts: Counter[str], columns: Mapping[str, str], first: int = 0
) -> Iterator[Reading]:
    """Reads rows as `datasets` gives them, in batches. Raises CorpusError where a column of `columns` is not there.

    Args:
        rows: of the whole source.
        counts: what the iterator of the rows counts by itself.
        columns: that the recipe names; none: those of known forms.
        first: how many conversations, as rows of `tabular`, are passed over.
    """
    known = (
        named_rows(rows, columns, counts)
        if columns
        else dailydialog.closed_up_rows(spolin.as_dialogs(rows, counts), counts)
    )
    for _ in islice(known, first):
        pass
    if first:
        counts.clear()  # of what was read before
    for reading in tabular.readings(known, counts, first):
        if reading.counts[spolin.READ]:
            reading.rights = spolin.RIGHTS
        yield reading


def readings_of_table(path: Path, form: str, columns: Mapping[str, str], first: int = 0) -> Iterator[Reading]:
    """Reads a file of rows, "json" or "parquet". Raises OSError, ValueError or UserError where it cannot be parsed."""
    counts = Counter[str]()
    if form == "parquet":
        yield from readings_of_rows(tabular.parquet_rows(path), counts, columns, first)
        return
    rows = json_rows(lambda: path.open("rb"), path.name, counts)
    for reading in readings_of_rows(rows, counts, columns, first):
        if reading.counts["rows that cannot be read"] and not reading.counts["conversations in the source"]:
            tabular.note_shape(reading, "its rows are no JSON: a .jsonl file has an object a line")
        yield reading
