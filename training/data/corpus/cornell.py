"""Reads the Cornell Movie-Dialogs Corpus, as a zip or as a folder.

The files separate their fields by ` +++$+++ `. Bytes are single-byte Western: ISO-8859-1 on paper, with cp1252's quotes
and dashes (0x80-0x9f) in practice; copies saved again as UTF-8 or UTF-16 read as the same. Conversations name their
lines by id; some lines are empty and, in a damaged copy, some are missing.

Source: Danescu-Niculescu-Mizil and Lee, "Chameleons in imagined conversations", CMCL 2011.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from hub.rights import UNKNOWN, Citation, Rights
from hub.text_file import SINGLE_BYTES
from training.data.corpus.assemble import Film, Reading, Speaker, parse_number
from training.data.corpus.text import decode_western

PUBLIC_ADDRESS = "http://www.cs.cornell.edu/~cristian/data/cornell_movie_dialogs_corpus.zip"
SEPARATOR = " +++$+++ "
LINES_FILE, CONVERSATIONS_FILE, TITLES_FILE, CHARACTERS_FILE = FILES = (
    "movie_lines.txt",
    "movie_conversations.txt",
    "movie_titles_metadata.txt",
    "movie_characters_metadata.txt",
)
URLS = "raw_script_urls.txt"
RIGHTS = Rights(
    {
        "license": "other",
        "license_name": "cornell-movie-dialogs-no-formal-licence",
        "license_link": "https://www.cs.cornell.edu/~cristian/Cornell_Movie-Dialogs_Corpus.html",
    },
    (
        Citation(
            "Cornell Movie-Dialogs Corpus",
            "The Cornell Movie-Dialogs Corpus is distributed by its authors without a formal licence, for research; "
            "the lines remain the property of those who wrote the films.",
            """\
@inproceedings{danescu-niculescu-mizil-lee-2011-chameleons,
  author    = {Cristian Danescu-Niculescu-Mizil and Lillian Lee},
  title     = {Chameleons in Imagined Conversations: A New Approach to Understanding Coordination of Linguistic Style in Dialogs},
  booktitle = {Proceedings of the Workshop on Cognitive Modeling and Computational Linguistics, ACL 2011},
  year      = {2011}
}""",  # noqa: E501
        ),
    ),
)

_LINE_ID = re.compile(r"'([^']*)'")
_LINE_IDS = re.compile(r"\s*\[('[^']*'(, '[^']*')*)?\]\s*")


def read(files: Mapping[str, bytes]) -> Reading:
    """Reads the contents of `FILES` and, where it is there, of `URLS`. A row that cannot be read is counted."""
    counts: Counter[str] = Counter()
    decoded = {name: decode_western(content, counts) for name, content in files.items()}
    texts = {name: one.text for name, one in decoded.items()}
    films = _films(texts, counts)
    speakers = _speakers(texts[CHARACTERS_FILE], counts)
    reading = Reading(list(films.values()), list(speakers.values()), [], [], [], [], counts, rights_of(films.values()))
    lines = _lines(texts[LINES_FILE], reading, {speaker: index for index, speaker in enumerate(speakers)})
    _conversations(texts[CONVERSATIONS_FILE], reading, {film: index for index, film in enumerate(films)}, *lines)
    if decoded[LINES_FILE].encoding == SINGLE_BYTES:
        counts["lines with cp1252 bytes"] = len(re.findall(rb"[\x80-\x9f].*", files[LINES_FILE]))
    return reading


def rights_of(films: Iterable[Film]) -> Rights:
    """Those of the corpus itself, told by its first film; other films in its form have others."""
    return RIGHTS if any(film.id == "m0" and film.title == "10 things i hate about you" for film in films) else UNKNOWN


def _rows(content: str, fields: int, name: str, counts: Counter[str]) -> Iterator[list[str]]:
    """Yields the fields of the rows; one with another number of fields is counted and passed over.

    A last row without its newline is where a cut-off copy ends: it cannot be trusted and is passed over as well.
    """
    rows = content.replace("\r\n", "\n").split("\n")
    if rows.pop().strip():
        counts[f"{name}: last row cut off"] += 1
    for row in rows:
        values = row.split(SEPARATOR)
        if len(values) == fields - 1 and values[-1].endswith(SEPARATOR.rstrip()):  # the last field is empty
            values[-1:] = [values[-1].removesuffix(SEPARATOR.rstrip()), ""]
        if len(values) == fields:
            yield values
        elif row.strip():
            counts[f"{name}: rows not in {fields} fields"] += 1


def _films(texts: Mapping[str, str], counts: Counter[str]) -> dict[str, Film]:
    urls = {film: url.strip() for film, _, url in _rows(texts.get(URLS, ""), 3, URLS, counts)}
    films = {}
    for film, title, year, rating, votes, genres in _rows(texts[TITLES_FILE], 6, TITLES_FILE, counts):
        released = re.match(r"[0-9]{4}", year)  # "1995/I" is how IMDb tells namesakes of one year apart
        films[film] = Film(
            id=film,
            title=title.strip() or None,
            year=int(released[0]) if released else None,
            rating=parse_number(float, rating),
            votes=parse_number(int, votes),
            genres=tuple(re.findall(r"'([^']+)'", genres)),
            script_url=urls.get(film),
        )
    return films


def _speakers(content: str, counts: Counter[str]) -> dict[str, Speaker]:
    speakers = {}
    for speaker, name, _film, _title, gender, position in _rows(content, 6, CHARACTERS_FILE, counts):
        folded = gender.strip().lower()
        speakers[speaker] = Speaker(name.strip(), folded if folded in ("f", "m") else "?", parse_number(int, position))
    return speakers


def _lines(content: str, reading: Reading, speakers: dict[str, int]) -> tuple[dict[str, int], list[str]]:
    """Adds the lines to the reading. Returns the place of each line id, and the film of each line."""
    line_index: dict[str, int] = {}
    films: list[str] = []
    for line, speaker, film, name, raw in _rows(content, 5, LINES_FILE, reading.counts):
        if line in line_index:
            reading.counts["line ids seen twice"] += 1
            continue
        if speaker not in speakers:
            speakers[speaker] = len(reading.speakers)
            reading.speakers.append(Speaker(name.strip()))
        line_index[line] = len(films)
        films.append(film)
        reading.raw_text.append(raw)
        reading.speaker_of.append(speakers[speaker])
    reading.line_ids += line_index
    return line_index, films


def _conversations(
    content: str, reading: Reading, films: dict[str, int], line_index: dict[str, int], films_of_lines: list[str]
) -> None:
    """Adds the conversations to the reading. A line of another film is taken for missing."""
    counts = reading.counts
    for _first, _second, film, listed in _rows(content, 4, CONVERSATIONS_FILE, counts):
        counts["conversations in the source"] += 1
        if not _LINE_IDS.fullmatch(listed):
            counts["conversations whose line list cannot be read"] += 1
            continue
        if film not in films:
            films[film] = len(reading.films)
            reading.films.append(Film(id=film))
        lines = [line_index.get(line, -1) for line in _LINE_ID.findall(listed)]
        for position, index in enumerate(lines):
            if index >= 0 and films_of_lines[index] != film:
                counts["lines of another film than their conversation's"] += 1
                lines[position] = -1
        reading.conversations.append((films[film], lines))
