"""Reads OpenSubtitles as OPUS has it: plain text with its ids, or XML with times.

Plain text (`moses`): `OpenSubtitles.en-fr.en`, a sentence a line, and `OpenSubtitles.en-fr.ids`, which names for each
line the document and the sentences of both languages, between tabs. It has no times: a conversation ends where the
numbers of the sentences jump, so that one may be as long as a film.

XML (`raw`, or `xml` with a word an element): `en/1999/133093/3241.xml`, by year and IMDb number. Of several documents
of one film the largest is read.

Source: Lison and Tiedemann, "OpenSubtitles2016", LREC 2016; https://opus.nlpl.eu
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import BinaryIO
from xml.etree.ElementTree import Element

from hub.rights import UNKNOWN, Citation, Rights
from hub.text_file import text_lines
from training.data.corpus.assemble import CorpusError, Film, Reading
from training.data.corpus.films.cues import Cue, conversations_of
from training.data.corpus.films.film_reading import Line, film_reading
from training.data.corpus.members import CorpusFile
from training.data.corpus.text import close_up

IDS = ".ids"
RIGHTS = Rights(
    {
        "license": "other",
        "license_name": "opensubtitles-no-formal-licence",
        "license_link": "https://opus.nlpl.eu/OpenSubtitles",
    },
    (
        Citation(
            "OpenSubtitles",
            "OPUS distributes OpenSubtitles without a formal licence and asks for a link to "
            "[opensubtitles.org](http://www.opensubtitles.org/); the lines remain the property of those who wrote the "
            "films and their subtitles.",
            """\
@inproceedings{lison-tiedemann-2016-opensubtitles2016,
  author    = {Pierre Lison and J{\\"o}rg Tiedemann},
  title     = {OpenSubtitles2016: Extracting Large Parallel Corpora from Movie and TV Subtitles},
  booktitle = {Proceedings of the Tenth International Conference on Language Resources and Evaluation (LREC 2016)},
  year      = {2016}
}""",
        ),
    ),
)

_DOCUMENT = re.compile(r"(?:^|/)(\d{1,4})/(\d+)/([^/]+)\.xml(?:\.gz)?$")
_PARALLEL = re.compile(r"(.*\.)?([a-z]{2,3}(?:_[A-Za-z]+)?)-([a-z]{2,3}(?:_[A-Za-z]+)?)\.ids$")
_TIME = re.compile(r"(\d+):(\d+):(\d+)[,.:](\d+)")


def film_of_document(name: str) -> Film:
    """Film of a document by its path: `en/1999/133093/3241.xml` is IMDb's tt0133093 of 1999; year 0 is not known."""
    if not (found := _DOCUMENT.search(name)):
        return Film(id=name)
    return Film(id=f"tt{found[2]:0>7}", year=int(found[1]) or None)


def one_a_film(members: Iterable[CorpusFile], counts: Counter[str]) -> list[CorpusFile]:
    """Of several documents of one film the largest; the others, which are subtitles of the same lines, are counted."""
    chosen: dict[str, CorpusFile] = {}
    for member in members:
        film = f"{film_of_document(member.name).id}"
        if film in chosen:
            counts["documents of a film that has a larger one"] += 1
        if film not in chosen or member.size > chosen[film].size:
            chosen[film] = member
    return list(chosen.values())


def read_xml(root: Element, name: str, silence: float, counts: Counter[str]) -> Reading:
    """Reads one document. Sentences of one subtitle are one turn, unless a dash says otherwise."""
    film = film_of_document(name)
    year, genres = (root.findtext(f"./meta/source/{tag}") or "" for tag in ("year", "genre"))
    film = film._replace(
        year=film.year or (int(year) if re.fullmatch(r"[12]\d{3}", year) else None),
        genres=tuple(genre.strip() for genre in genres.split(",") if genre.strip()),
    )
    unread = "" if root.tag == "document" else f"{name} is XML of another kind, with <{root.tag[:40]}> outermost"
    if unread:
        counts["files of XML that are no subtitles"] += 1
    sentences = list(root.iter("s")) if root.tag == "document" else []
    counts["texts outside any sentence"] += texts_outside(root)
    talks = conversations_of(cues_of_sentences(sentences, counts), silence, counts)
    reading = film_reading(film, talks, counts, unread)
    reading.rights = RIGHTS if film.id != name else UNKNOWN
    return reading


def texts_outside(element: Element) -> int:
    """How many texts of a document stand in no sentence, and not in what is said about it."""
    if element.tag in ("s", "meta"):
        return 0
    inside = [element.text, *(child.tail for child in element)]
    return sum(bool(text and text.strip()) for text in inside) + sum(map(texts_outside, element))


def cues_of_sentences(sentences: Sequence[Element], counts: Counter[str]) -> Iterator[Cue]:
    """Cues of a document. A sentence without a time of its own stands in the subtitle before it."""
    counts["sentences in the source"] += len(sentences)
    cue: Cue | None = None
    for sentence in sentences:
        times = [(time.get("id", ""), seconds_of(time.get("value", ""))) for time in sentence.iter("time")]
        start = next((at for id, at in times if at is not None and not id.endswith("E")), None)
        end = next((at for id, at in reversed(times) if at is not None and id.endswith("E")), None)
        words = [word.text or "" for word in sentence.iter("w")]
        text = close_up(" ".join(words)) if words else " ".join("".join(sentence.itertext()).split())
        if cue and start is None:
            counts["sentences in the subtitle of the one before"] += 1
            cue = cue._replace(lines=[*cue.lines, Line(text)], end=end or cue.end)
            continue
        if cue:
            yield cue
        cue = Cue([Line(text)], start, end or start)
    if cue:
        yield cue


def seconds_of(value: str) -> float | None:
    """Seconds of `01:02:03,456`; None where it is no time."""
    if not (found := _TIME.match(value.strip())):
        return None
    hours, minutes, whole = (int(part) for part in found.groups()[:3])
    return 3600 * hours + 60 * minutes + whole + float(f"0.{found[4]}")


def plain_films(members: Sequence[CorpusFile], language: str | None, silence: float) -> Iterator[Reading]:
    """Reads plain text with its ids, film by film; only a film is held.

    Args:
        members: the files of a folder or zip.
        language: the one of the two to read; None where only one of them is there.
        silence: for cues with times, of which this form has none.

    Raises:
        CorpusError: ids or text are missing, or it has two languages and none is named.
    """
    ids = next(member for member in members if member.name.endswith(IDS))
    if not (pair := _PARALLEL.search(ids.name)):
        raise CorpusError(f"{ids.name} names no two languages as OpenSubtitles.en-fr.ids does; keep OPUS's names")
    texts = {own: m for own in pair.groups()[1:] for m in members if m.name == f"{ids.name.removesuffix(IDS)}.{own}"}
    chosen = language or (next(iter(texts)) if len(texts) == 1 else None)
    if chosen not in texts:
        there = " and ".join(texts) or f"no text beside {ids.name}"
        raise CorpusError(f"it has {there}; name the language to read in data.sources config, as config: en")
    with ids.open() as names, texts[chosen].open() as lines:
        for reading in films_of_lines(names, lines, pair.groups()[1:].index(chosen), silence):
            reading.rights = RIGHTS if "OpenSubtitles" in ids.name else UNKNOWN  # other corpora have this form as well
            yield reading


def films_of_lines(names: BinaryIO, lines: BinaryIO, column: int, silence: float) -> Iterator[Reading]:
    """Yields the readings of documents that follow one another; of a film that was read before, a count alone."""
    counts, read = Counter[str](), set[str]()
    document, last, cues = "", 0, list[Cue]()

    def ended() -> Iterator[Reading]:
        film = film_of_document(document)
        if document and film.id in read:
            counts["documents of a film that was read before"] += 1
            counts["sentences of a film that was read before"] += len(cues)
            yield Reading(counts=counts)
        else:
            read.add(str(film.id))
            yield film_reading(film, conversations_of(cues, silence, counts), counts)

    for name, text in zip_longest(text_lines(names), text_lines(lines)):
        if name is None or text is None:
            counts["lines of text without ids" if name is None else "ids without a line of text"] += 1
            continue
        counts["sentences in the source"] += 1
        fields = name.rstrip("\r\n").split("\t")
        numbers = [int(number) for number in re.findall(r"\d{1,9}", fields[column + 2])] if len(fields) == 4 else []
        if len(fields) != 4 or not fields[column].strip():
            counts["lines whose ids cannot be read"] += 1
            last = 0
            continue
        if fields[column] != document:
            if cues:
                yield from ended()
                counts, cues = Counter(), []
            document, last = fields[column], 0
        cues.append(Cue([Line(text.strip())], after_gap=not numbers or (last > 0 and numbers[0] != last + 1)))
        last = numbers[-1] if numbers else 0
    yield from ended()
