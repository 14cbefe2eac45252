"""Reads corpora that are many files, or one beside its ids: which, is told by the names in a folder or zip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from training.data.corpus.assemble import Reading
from training.data.corpus.films import opensubtitles
from training.data.corpus.films.film_files import READERS, ending_of, read_films
from training.data.corpus.films.film_reading import join_readings
from training.data.corpus.members import CorpusFile
from training.data.corpus.tables import dailydialog, tabular
from training.recipe_source import Source


def read_folder(members: Sequence[CorpusFile], source: Source, first: int = 0) -> Iterator[Reading] | None:
    """Readings of a folder or zip; None where nothing in it is of a form that is read here.

    Args:
        members: its files.
        source: of the recipe.
        first: how many film files are passed over.

    Raises:
        CorpusError: OPUS's plain text without its ids or its text.
    """
    by_name = {PurePosixPath(member.name).name: member for member in members}
    names = (dailydialog.FILE,) if dailydialog.FILE in by_name else dailydialog.SPLIT_FILES
    if dialogues := [by_name[name] for name in names if name in by_name]:
        return iter([read_dailydialog(dialogues)])
    if any(member.name.endswith(opensubtitles.IDS) for member in members):
        return film_batches(opensubtitles.plain_films(members, source.config, source.silence), first)
    if any(ending_of(member.name) in READERS for member in members):
        return film_batches(read_films(members, source.silence), first)
    return None


def film_batches(films: Iterable[Reading], first: int = 0) -> Iterator[Reading]:
    """Readings of a film each as batches of about LINES_AT_ONCE lines; a batch's `rows` are the films to its end."""
    lines, batch = 0, list[Reading]()
    for place, film in enumerate(films, 1):
        if place <= first:
            continue
        batch.append(film)
        lines += len(film.line_ids)
        if lines >= tabular.LINES_AT_ONCE:
            yield replace(join_readings(batch), rows=place)
            lines, batch = 0, []
    if batch:
        yield replace(join_readings(batch), rows=place)


def read_dailydialog(members: Sequence[CorpusFile]) -> Reading:
    """Reads text files in DailyDialog's form."""
    counts = Counter[str]()
    rows: list[dict[str, list[str]]] = []
    for member in members:
        with member.open() as file:
            rows += dailydialog.rows_of(file, counts)
    reading = replace(tabular.read(rows, counts), rows=0)  # its files are read whole
    if len(rows) in dailydialog.DIALOGUES:
        reading.rights = dailydialog.RIGHTS
    return reading
