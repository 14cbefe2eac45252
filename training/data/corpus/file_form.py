"""The form of a corpus file, told by its first bytes: names are often wrong, and of a download there may be none."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from training.data.corpus.assemble import CorpusError
from training.data.corpus.films.film_files import READERS, beginning, ending_by_content
from training.data.corpus.tables.dailydialog import END_OF_TURN

FORMS = (
    "the Cornell or a ConvoKit corpus, OpenSubtitles of OPUS, DailyDialog, or subtitles (.srt, .vtt) and screenplays "
    "(.fountain, .fdx) as zip or folder; a .jsonl, .json or .parquet file; or the id of a Hub dataset"
)
SUFFIXES = (".jsonl", ".json", ".parquet")
NOT_READ = (
    (b"\x1f\x8b", "a gzip file", "unpack it"),
    (b"BZh", "a bzip2 file", "unpack it"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"ARROW1", "an Arrow file", "save it as parquet"),
    (b"SQLite format 3", "an SQLite database", "write its rows as .jsonl"),
    (b"%PDF", "a PDF", "give the corpus itself"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run git lfs pull"),
)
"""First bytes of what is not read, what it is, and what to do."""
_HTML = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")


def form_of_file(path: Path) -> Literal["zip", "json", "parquet", "film", "dailydialog"]:
    """Which reader a file needs.

    Raises:
        CorpusError: it is of a form that is not read, which the message names.
    """
    with path.open("rb") as file:
        head = file.read(512)
    for start, what, cure in NOT_READ:
        if head.startswith(start):
            raise CorpusError(f"{what}, which is not read; {cure}, or give {FORMS}")
    suffix, text = path.suffix.lower(), beginning(head)
    if suffix in READERS or ending_by_content(text):
        return "film"
    if head.lstrip().lower().startswith(_HTML):
        raise CorpusError(f"a web page, not a corpus; give the address of the file itself, or {FORMS}")
    if head[257:262] == b"ustar":
        raise CorpusError(f"a tar archive, which is not read; unpack it, or give {FORMS}")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK"):
        return "zip"
    if END_OF_TURN in text and suffix not in SUFFIXES and not _is_json(head):
        return "dailydialog"
    if suffix in (".csv", ".tsv", ".txt", ".xls"):
        raise CorpusError(f"a {suffix} file, which is not read; write a row a line as .jsonl, or give {FORMS}")
    if suffix == ".parquet":
        raise CorpusError(f"damaged: it does not begin as parquet does but with {head[:16]!r}; get it again")
    if suffix == ".zip":
        raise CorpusError(f"not a readable zip: it begins with {head[:16]!r}; get it again from where it came")
    if suffix in SUFFIXES or _is_json(head):
        return "json"
    raise CorpusError(f"a file that begins with {head[:16]!r}, which is not read; give {FORMS}")


def check_file(path: Path) -> None:
    """Checks what can be told of a file without reading it all. Raises CorpusError where it is no whole corpus."""
    form = form_of_file(path)
    if form == "zip" and not zipfile.is_zipfile(path):
        raise CorpusError("not a readable zip: its end is missing; get it again from where it came")
    if form == "parquet" and not ends_with(path, b"PAR1"):
        raise CorpusError("damaged: the end of the parquet file is missing; get it again from where it came")


def ends_with(path: Path, end: bytes) -> bool:
    """Whether these are the last bytes of a file, which is not read for it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def _is_json(head: bytes) -> bool:
    return beginning(head).lstrip().startswith(("{", "["))
