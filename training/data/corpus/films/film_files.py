"""Reads films from files of one film each: subtitles, screenplays, documents of OpenSubtitles.

Each file is a `Reading` of its own, one after the other. A file that cannot be read costs its film alone: it is
counted, and where nothing else is left the first of them is what the error names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from hub.text_file import mark_of
from training.data.corpus.assemble import CorpusError, Film, Reading
from training.data.corpus.films import opensubtitles
from training.data.corpus.films.cues import conversations_of
from training.data.corpus.films.film_reading import film_reading
from training.data.corpus.films.final_draft import read_final_draft
from training.data.corpus.films.fountain import read_fountain
from training.data.corpus.films.safe_xml import XmlError, parse_xml
from training.data.corpus.films.subtitle_files import read_cues
from training.data.corpus.members import CorpusFile

LARGEST = 32 << 20
"""Bytes of a file of one film; the longest screenplays have less than two million."""
_YEAR = re.compile(r"^(.+?)[ ._]*[(\[ ._]((?:18|19|20)\d\d)[)\]]?$")
_LANGUAGE = re.compile(r"(\.([a-z]{2}(-[A-Za-z]{2})?|eng|sdh|cc|forced))+$")


def film_of_file(name: str) -> Film:
    """Film of a file by its name: `Dusk (1995).en.srt` and `Dusk.1995.srt` are "Dusk" of 1995."""
    path = PurePosixPath(name)
    stem = _LANGUAGE.sub("", path.stem) or path.stem
    found = _YEAR.match(stem)
    title, year = (found[1], int(found[2])) if found else (stem, None)
    return Film(id=name, title=" ".join(re.sub(r"[._]", " ", title).split()) or stem, year=year)


def _subtitles(raw: bytes, name: str, silence: float, counts: Counter[str]) -> Reading:
    cues = read_cues(raw, counts)
    unread = "" if cues else f"{name} has no line of times, as 00:01:02,500 --> 00:01:04,000"
    return film_reading(film_of_file(name), conversations_of(cues, silence, counts), counts, unread)


def _fountain(raw: bytes, name: str, silence: float, counts: Counter[str]) -> Reading:
    return read_fountain(raw, film_of_file(name), counts)


def _xml(raw: bytes, name: str, silence: float, counts: Counter[str]) -> Reading:
    root = parse_xml(raw)
    if root.tag == "FinalDraft":
        return read_final_draft(root, film_of_file(name), counts)
    return opensubtitles.read_xml(root, name, silence, counts)


READERS: dict[str, Callable[[bytes, str, float, Counter[str]], Reading]] = {
    ".srt": _subtitles,
    ".vtt": _subtitles,
    ".fountain": _fountain,
    ".fdx": _xml,
    ".xml": _xml,
}
"""By the ending of a file's name."""


def ending_of(name: str) -> str:
    """The ending of a name, in small letters."""
    return PurePosixPath(name).suffix.lower()


def beginning(content: bytes) -> str:
    """The first characters of a file, as its byte order mark says, else as UTF-8."""
    mark, encoding = mark_of(content)
    return content[len(mark) : len(mark) + 512].decode(encoding, "replace")


def ending_by_content(head: str) -> str | None:
    """The ending that a file with these first characters should have; None where they say nothing."""
    if head.startswith("WEBVTT"):
        return ".vtt"
    if head.lstrip().startswith("<") and re.search(r"<(FinalDraft|document)\b", head):
        return ".xml"
    return ".srt" if re.match(r"\s*(\d+\s+)?\d+:\d\d:\d\d[,.]\d+ *-->", head) else None


def read_films(members: Sequence[CorpusFile], silence: float) -> Iterator[Reading]:
    """Yields the reading of each film file; of what is none, and of what cannot be read, a count.

    Args:
        members: the files.
        silence: seconds without speech that end a conversation, in subtitles with times.
    """
    counts = Counter[str]()
    films = [member for member in members if ending_of(member.name) in READERS]
    counts["files of other kinds, passed over"] = len(members) - len(films)
    films = opensubtitles.one_a_film(films, counts)
    yield Reading(counts=counts)
    for member in films:
        yield read_film(member, silence)


def read_film(member: CorpusFile, silence: float) -> Reading:
    """Reads one film file, by the ending of its name or, where that is none of READERS, by how it begins."""
    counts = Counter[str]({"films in files": 1})
    if member.size > LARGEST:
        counts["files too large for one film"] += 1
        return Reading(counts=counts, unread=f"{member.name} has {member.size:,} bytes")
    content = member.read()
    ending = ending_of(member.name)
    if ending not in READERS:
        ending = ending_by_content(beginning(content)) or ".srt"
    try:
        return READERS[ending](content, member.name, silence, counts)
    except XmlError as error:
        counts["files that are no XML that is read"] += 1
        return Reading(counts=counts, unread=f"{member.name}: {error}")
    except CorpusError as error:
        counts["files that cannot be read"] += 1
        return Reading(counts=counts, unread=f"{member.name}: {error}")
