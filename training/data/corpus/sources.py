"""Finds a source and the reader that it needs: a zip, a folder, a file, an http address or a dataset of the Hub."""

from __future__ import annotations

import gc
import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.lineage import Input, pin
from training.data.corpus import convokit, cornell
from training.data.corpus.assemble import Corpus, CorpusError, Reading, assemble_each
from training.data.corpus.download import downloaded, kept_if_corpus
from training.data.corpus.file_form import FORMS, SUFFIXES, form_of_file
from training.data.corpus.films.film_files import read_film
from training.data.corpus.folders import read_dailydialog, read_folder
from training.data.corpus.language import in_language
from training.data.corpus.members import CorpusFile, file_member, members_of
from training.data.corpus.parts import joined
from training.data.corpus.tables.row_forms import readings_of_rows, readings_of_table
from training.recipe_source import Source


@dataclass(frozen=True)
class Located:
    """A source that was found, pinned by its content, and not read yet."""

    name: str  # what the rows' `source` says
    input: Input
    batches: Callable[[int], Iterator[Corpus]]
    """Reads it one batch of conversations after the other, from a row on (`Corpus.rows`): 0 is its start, the only row
    of a source that is not read by rows. Raises CorpusError where it cannot be read."""

    def read(self) -> Corpus:
        """Reads it whole. Raises CorpusError where it cannot be read."""
        return joined(self.batches(0))


def locate(source: Source, work: Path, language: str | None = None) -> Located:
    """Finds a source, after a download where it is an http address.

    Args:
        source: as the recipe has it.
        work: where downloads are kept.
        language: of the conversations that are read; None reads all.

    Raises:
        CorpusError: there is nothing of a known form.
        hub.errors.UserError: the Hub has no such dataset.
    """
    address = source.path.strip()
    if re.fullmatch(r"(?i)https?://.+", address):
        path = downloaded(address, work / "downloads")
        return located_file(path, source.name, lambda first: read_download(path, address, source, language, first))
    if not (path := Path(source.path)).exists():
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source.path) or path.suffix in (".zip", *SUFFIXES):
            raise CorpusError(f"{source.path}: no such file or folder; give {FORMS}")
        pinned = pin(source.path, "dataset", source.revision or "main")
        return Located(source.name or source.path, pinned, lambda first: read_hub(pinned, source, language, first))
    return located_file(path, source.name, lambda first: read_batches(path, source, language, first))


def located_file(path: Path, name: str | None, reader: Callable[[int], Iterator[Corpus]]) -> Located:
    """A file or folder as a source, pinned by its digest, under its own name where it is given none."""
    with errors_name(path):
        digest = file_digest(path)
    name = name or path.stem
    return Located(name, Input(name, "file", digest, digest), reader)


def read_download(
    path: Path, address: str, source: Source, language: str | None = None, first: int = 0
) -> Iterator[Corpus]:
    """Reads a downloaded corpus. Raises CorpusError as `read_batches` does, after it has deleted the file."""
    with kept_if_corpus(path, address):
        yield from read_batches(path, source, language, first)


def read(path: str | Path, source: Source | None = None, language: str | None = None) -> Corpus:
    """Reads a local corpus of any form whole. Raises CorpusError as `read_batches` does."""
    return joined(read_batches(path, source, language))


def read_batches(
    path: str | Path, source: Source | None = None, language: str | None = None, first: int = 0
) -> Iterator[Corpus]:
    """Reads a local corpus of any form, in batches of conversations where it is a table or has a file for each film.

    Args:
        path: the file or folder.
        source: how it is to be read; None reads it as usual.
        language: of the conversations that are read; None reads all.
        first: the row, or the film file, that is read first.

    Raises:
        CorpusError: the path is no corpus, a file is missing or cut off, or nothing readable is in it.
    """
    path = Path(path)
    with errors_name(path):
        readings = readings_of(path, source or Source(str(path)), first)
        kept = (in_language(reading, language) for reading in readings)
        yield from collector_off(assemble_each(kept, first))


def readings_of(path: Path, source: Source, first: int) -> Iterator[Reading]:
    """Readings of a file or folder by its form. Raises CorpusError where it is none, or what `errors_name` names."""
    if not path.exists():
        raise CorpusError(f"no such file or folder; give {FORMS}")
    form = "folder" if path.is_dir() else form_of_file(path)
    if form in ("json", "parquet"):
        return readings_of_table(path, form, source.columns, first)
    if form == "dailydialog":
        return iter([read_dailydialog([file_member(path, path.name)])])
    if form == "film":
        return iter([read_film(file_member(path, path.name), source.silence)])
    members = members_of(path)
    found = convokit.named_as_now(names(members))
    of_corpus = any(name in found for name in (*cornell.FILES, *convokit.FILES))
    if not of_corpus and (readings := read_folder(members, source, first)):
        return readings
    reader = cornell if form_of(found) == "cornell" else convokit
    if missing := [name for name in reader.FILES if name not in found]:
        raise CorpusError(f"{', '.join(missing)} not in it; such a corpus has {', '.join(reader.FILES)}")
    optional = [name for name in (cornell.URLS,) if name in found]
    return iter([reader.read({name: found[name]() for name in (*reader.FILES, *optional)})])


def collector_off(corpora: Iterator[Corpus]) -> Iterator[Corpus]:
    """The same, with garbage collection held while one is made: a reader makes millions of objects and drops none."""
    was_on = gc.isenabled()
    while True:
        gc.disable()
        try:
            corpus = next(corpora, None)
        finally:
            if was_on:
                gc.enable()
        if corpus is None:
            return
        yield corpus
        del corpus


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Makes a CorpusError, with the path in it, of whatever a damaged file raises."""
    try:
        yield
    except UserError as error:
        message = str(error)
        raise CorpusError(message if message.startswith(str(path)) else f"{path}: {message}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise CorpusError(
            f"{path}: damaged ({' '.join(str(error).split())}); get it again from where it came"
        ) from error


def names(members: Iterable[CorpusFile]) -> dict[str, Callable[[], bytes]]:
    """The files of a zip or a folder by name, whatever folder they are in, each as a function that reads it."""
    return {Path(member.name).name: member.read for member in members}


def form_of(found: Mapping[str, Any]) -> str:
    """Form of a corpus, "cornell" or "convokit", by the names of its files. Raises CorpusError where it is neither."""
    for form, reader in (("cornell", cornell), ("convokit", convokit)):
        if any(name in found for name in reader.FILES):
            return form
    there = f"{', '.join(sorted(found)[:5])}{' and more' if len(found) > 5 else ''}" if found else "nothing"
    raise CorpusError(f"no {cornell.LINES_FILE} and no {convokit.UTTERANCES} in it, but {there}; give {FORMS}")


def read_hub(pinned: Input, source: Source, language: str | None, first: int = 0) -> Iterator[Corpus]:
    """Reads every split of a dataset of the Hub, one after the other, as a stream: it is not stored on this machine."""
    from datasets import load_dataset

    try:
        splits = load_dataset(pinned.repo, source.config, revision=pinned.revision, streaming=True)
        rows = (row for split in splits.values() for row in split)
        readings = readings_of_rows(rows, Counter(), source.columns, first)
        kept = (in_language(reading, language) for reading in readings)
        yield from collector_off(assemble_each(kept, first))
    except (CorpusError, ValueError, RuntimeError) as error:
        raise CorpusError(f"{pinned.repo}: {' '.join(str(error).split())}; see data.sources config") from error


def file_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of those files of a folder that a reader reads.

    Those are Cornell's or ConvoKit's where they are there; else any file, by its path from the folder.
    """
    digest = hashlib.sha256()
    read_ones = (*cornell.FILES, cornell.URLS, *convokit.FILES, *convokit.OLDER)
    files = [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.is_file())
    of_corpus = [file for file in files if file.name in read_ones]
    for file in files if path.is_file() else of_corpus or files:
        name = file.name if of_corpus else file.relative_to(path).as_posix()
        digest.update(name.encode(errors="surrogateescape") if path.is_dir() else b"")
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
