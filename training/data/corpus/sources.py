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
from training.data.corpus.assemble import Corpus, CorpusError, Reading, assemble
from training.data.corpus.download import downloaded, kept_if_corpus
from training.data.corpus.file_form import FORMS, SUFFIXES, form_of_file
from training.data.corpus.film_files import read_film
from training.data.corpus.film_reading import join_readings
from training.data.corpus.folders import read_dailydialog, read_folder
from training.data.corpus.language import in_language
from training.data.corpus.members import CorpusFile, file_member, members_of
from training.data.corpus.row_forms import reading_of_rows, reading_of_table
from training.recipe_source import Source


@dataclass(frozen=True)
class Located:
    """A source that was found, pinned by its content, and not read yet."""

    name: str  # what the rows' `source` says
    input: Input
    read: Callable[[], Corpus]
    """Reads it. Raises CorpusError where it cannot be read."""


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
        return located_file(path, source.name, lambda: read_download(path, address, source, language))
    if not (path := Path(source.path)).exists():
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source.path) or path.suffix in (".zip", *SUFFIXES):
            raise CorpusError(f"{source.path}: no such file or folder; give {FORMS}")
        pinned = pin(source.path, "dataset", source.revision or "main")
        return Located(source.name or source.path, pinned, lambda: read_hub(pinned, source, language))
    return located_file(path, source.name, lambda: read(path, source, language))


def located_file(path: Path, name: str | None, reader: Callable[[], Corpus]) -> Located:
    """A file or folder as a source, pinned by its digest, under its own name where it is given none."""
    with errors_name(path):
        digest = file_digest(path)
    name = name or path.stem
    return Located(name, Input(name, "file", digest, digest), reader)


def read_download(path: Path, address: str, source: Source, language: str | None) -> Corpus:
    """Reads a downloaded corpus. Raises CorpusError as `read` does, after it has deleted the file."""
    with kept_if_corpus(path, address):
        return read(path, source, language)


def read(path: str | Path, source: Source | None = None, language: str | None = None) -> Corpus:
    """Reads a local corpus of any form.

    Args:
        path: the file or folder.
        source: how it is to be read; None reads it as usual.
        language: of the conversations that are read; None reads all.

    Raises:
        CorpusError: the path is no corpus, a file is missing or cut off, or nothing readable is in it.
    """
    path = Path(path)
    with errors_name(path), collector_off():
        if not path.exists():
            raise CorpusError(f"no such file or folder; give {FORMS}")
        return assemble(in_language(reading_of(path, source or Source(str(path))), language))


def reading_of(path: Path, source: Source) -> Reading:
    """Reading of a file or folder by its form. Raises CorpusError where it is none, or what `errors_name` names."""
    form = "folder" if path.is_dir() else form_of_file(path)
    if form in ("json", "parquet"):
        return reading_of_table(path, form, source.columns)
    if form == "dailydialog":
        return read_dailydialog([file_member(path, path.name)])
    if form == "film":
        return join_readings([read_film(file_member(path, path.name), source.silence)])
    members = members_of(path)
    found = convokit.named_as_now(names(members))
    of_corpus = any(name in found for name in (*cornell.FILES, *convokit.FILES))
    if not of_corpus and (reading := read_folder(members, source)):
        return reading
    reader = cornell if form_of(found) == "cornell" else convokit
    if missing := [name for name in reader.FILES if name not in found]:
        raise CorpusError(f"{', '.join(missing)} not in it; such a corpus has {', '.join(reader.FILES)}")
    optional = [name for name in (cornell.URLS,) if name in found]
    return reader.read({name: found[name]() for name in (*reader.FILES, *optional)})


@contextmanager
def collector_off() -> Iterator[None]:
    """Garbage collector held: a reader makes millions of objects and drops none, and a tenth of its time would go."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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


def read_hub(pinned: Input, source: Source, language: str | None) -> Corpus:
    """Reads every split of a dataset of the Hub, one after the other."""
    from datasets import load_dataset

    try:
        splits = load_dataset(pinned.repo, source.config, revision=pinned.revision)
        rows = (row for split in splits.values() for row in split)
        return assemble(in_language(reading_of_rows(rows, Counter(), source.columns), language))
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
