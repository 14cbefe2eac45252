"""Reads corpora that are many files, or one beside its ids: which, is told by the names in a folder or zip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from training.data.corpus import dailydialog, opensubtitles, tabular
from training.data.corpus.assemble import Reading
from training.data.corpus.film_files import READERS, ending_of, read_films
from training.data.corpus.film_reading import join_readings
from training.data.corpus.members import CorpusFile
from training.recipe_source import Source


def read_folder(members: Sequence[CorpusFile], source: Source) -> Reading | None:
    """Reading of a folder or zip; None where nothing in it is of a form that is read here.

    Raises:
        CorpusError: OPUS's plain text without its ids or its text.
    """
    by_name = {PurePosixPath(member.name).name: member for member in members}
    names = (dailydialog.FILE,) if dailydialog.FILE in by_name else dailydialog.SPLIT_FILES
    if dialogues := [by_name[name] for name in names if name in by_name]:
        return read_dailydialog(dialogues)
    if any(member.name.endswith(opensubtitles.IDS) for member in members):
        return join_readings(opensubtitles.plain_films(members, source.config, source.silence))
    if any(ending_of(member.name) in READERS for member in members):
        return join_readings(read_films(members, source.silence))
    return None


def read_dailydialog(members: Sequence[CorpusFile]) -> Reading:
    """Reads text files in DailyDialog's form."""
    counts = Counter[str]()
    rows: list[dict[str, list[str]]] = []
    for member in members:
        with member.open() as file:
            rows += dailydialog.rows_of(file, counts)
    reading = tabular.read(rows, counts)
    if len(rows) in dailydialog.DIALOGUES:
        reading.rights = dailydialog.RIGHTS
    return reading
