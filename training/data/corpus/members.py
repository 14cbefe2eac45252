"""The files of a folder or a zip, one by one and never unpacked to disk; a zip bomb is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from training.data.corpus.assemble import CorpusError

MOST_TIMES = 100
"""How many times a zip's size its files may have together; text is packed to a third or a tenth."""
ALWAYS_ALLOWED = 64 << 20
"""Bytes that a zip may unpack to whatever its size."""


class CorpusFile(NamedTuple):
    """One file of a folder or a zip."""

    name: str
    """Path from the folder or in the zip, with "/"; a name only: nothing is written under it."""
    size: int
    """In bytes, unpacked."""
    open: Callable[[], BinaryIO]

    def read(self) -> bytes:
        """The whole content."""
        with self.open() as file:
            return file.read()


def members_of(path: Path) -> list[CorpusFile]:
    """The files of a folder or a zip, sorted by name.

    Raises:
        CorpusError: the zip cannot be read, or its files are more than MOST_TIMES as large as it is.
    """
    if path.is_dir():
        found = sorted(entry for entry in path.rglob("*") if entry.is_file())
        return [file_member(entry, entry.relative_to(path).as_posix()) for entry in found]
    archive = open_zip(path)
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    return [zip_member(archive, entries[name]) for name in sorted(entries) if "__MACOSX" not in name]


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip to read from. Raises CorpusError where it is none, or a bomb."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise CorpusError(f"not a readable zip ({error}); get it again from where it came") from error
    unpacked, packed = sum(entry.file_size for entry in archive.infolist()), path.stat().st_size
    if unpacked > ALWAYS_ALLOWED + MOST_TIMES * packed:
        raise CorpusError(
            f"its {packed:,} bytes would unpack to {unpacked:,}, which no text does; unpack it yourself if you trust it"
        )
    return archive


def file_member(path: Path, name: str) -> CorpusFile:
    """A file of this disk."""
    return CorpusFile(name, path.stat().st_size, lambda: path.open("rb"))


def zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> CorpusFile:
    """A file in a zip; what is read of it ends at the size that the zip states."""
    return CorpusFile(entry.filename, entry.file_size, lambda: cast(BinaryIO, archive.open(entry)))
