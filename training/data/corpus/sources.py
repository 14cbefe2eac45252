"""Finds a source and the reader that it needs: a zip, a folder, a file, an http address or a dataset of the Hub."""

from __future__ import annotations

import gc
import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.lineage import Input, pin
from training.data.corpus import convokit, cornell, tabular
from training.data.corpus.assemble import Corpus, CorpusError, Reading, assemble_each
from training.data.corpus.download import downloaded, kept_if_corpus
from training.data.corpus.file_form import FORMS, SUFFIXES, form_of_file
from training.data.corpus.parts import joined
from training.recipe_schema import Source


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


def locate(source: Source, work: Path) -> Located:
    """Finds a source, after a download where it is an http address.

    Raises:
        CorpusError: there is nothing of a known form.
        hub.errors.UserError: the Hub has no such dataset.
    """
    address = source.path.strip()
    if re.fullmatch(r"(?i)https?://.+", address):
        path = downloaded(address, work / "downloads")
        return located_file(path, source.name, lambda first: read_download(path, address, first))
    if not (path := Path(source.path)).exists():
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source.path) or path.suffix in (".zip", *SUFFIXES):
            raise CorpusError(f"{source.path}: no such file or folder; give {FORMS}")
        pinned = pin(source.path, "dataset", source.revision or "main")
        return Located(source.name or source.path, pinned, lambda first: read_hub(pinned, source.config, first))
    return located_file(path, source.name, lambda first: read_batches(path, first))


def located_file(path: Path, name: str | None, reader: Callable[[int], Iterator[Corpus]]) -> Located:
    """A file or folder as a source, pinned by its digest, under its own name where it is given none."""
    with errors_name(path):
        digest = file_digest(path)
    name = name or path.stem
    return Located(name, Input(name, "file", digest, digest), reader)


def read_download(path: Path, address: str, first: int = 0) -> Iterator[Corpus]:
    """Reads a downloaded corpus. Raises CorpusError as `read_batches` does, after it has deleted the file."""
    with kept_if_corpus(path, address):
        yield from read_batches(path, first)


def read(path: str | Path) -> Corpus:
    """Reads a local corpus of any form whole. Raises CorpusError as `read_batches` does."""
    return joined(read_batches(path))


def read_batches(path: str | Path, first: int = 0) -> Iterator[Corpus]:
    """Reads a local corpus of any form, in batches of conversations where it is a table.

    Raises:
        CorpusError: the path is no corpus, a file is missing or cut off, or nothing readable is in it.
    """
    path = Path(path)
    with errors_name(path):
        yield from collector_off(assemble_each(readings_of(path, first), first))


def readings_of(path: Path, first: int) -> Iterator[Reading]:
    """What stands in a local corpus, by the reader that its form needs; a table is read from its row `first` on."""
    if not path.exists():
        raise CorpusError(f"no such file or folder; give {FORMS}")
    form = "folder" if path.is_dir() else form_of_file(path)
    if form in ("json", "parquet"):
        yield from (tabular.read_json if form == "json" else tabular.read_parquet)(path, first)
        return
    found = convokit.named_as_now(names(path))
    reader = cornell if form_of(found) == "cornell" else convokit
    if missing := [name for name in reader.FILES if name not in found]:
        raise CorpusError(f"{', '.join(missing)} not in it; such a corpus has {', '.join(reader.FILES)}")
    optional = [name for name in (cornell.URLS,) if name in found]
    yield reader.read({name: found[name]() for name in (*reader.FILES, *optional)})


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


def names(path: Path) -> dict[str, Callable[[], bytes]]:
    """The files of a zip or a folder by name, each as a function that reads it."""
    if path.is_dir():
        return {entry.name: entry.read_bytes for entry in sorted(path.rglob("*")) if entry.is_file()}
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise CorpusError(f"not a readable zip ({error}); get it again from where it came") from error
    return {Path(name).name: member(archive, name) for name in archive.namelist() if "__MACOSX" not in name}


def member(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    """Function that reads one file of a zip."""
    return lambda: archive.read(name)


def form_of(found: Mapping[str, Any]) -> str:
    """Form of a corpus, "cornell" or "convokit", by the names of its files. Raises CorpusError where it is neither."""
    for form, reader in (("cornell", cornell), ("convokit", convokit)):
        if any(name in found for name in reader.FILES):
            return form
    there = f"{', '.join(sorted(found)[:5])}{' and more' if len(found) > 5 else ''}" if found else "nothing"
    raise CorpusError(f"no {cornell.LINES_FILE} and no {convokit.UTTERANCES} in it, but {there}; give {FORMS}")


def read_hub(pinned: Input, config: str | None, first: int = 0) -> Iterator[Corpus]:
    """Reads every split of a dataset of the Hub, one after the other, as a stream: it is not stored on this machine."""
    from datasets import load_dataset

    try:
        splits = load_dataset(pinned.repo, config, revision=pinned.revision, streaming=True)
        rows = islice((row for split in splits.values() for row in split), first, None)
        yield from collector_off(assemble_each(tabular.readings(rows, Counter(), first), first))
    except (CorpusError, ValueError, RuntimeError) as error:
        raise CorpusError(f"{pinned.repo}: {' '.join(str(error).split())}; see data.sources config") from error


def file_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of those files of a folder that a reader reads."""
    digest = hashlib.sha256()
    read_ones = (*cornell.FILES, cornell.URLS, *convokit.FILES, *convokit.OLDER)
    for file in [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.name in read_ones):
        digest.update(file.name.encode() if path.is_dir() else b"")
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
