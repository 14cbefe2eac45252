"""Reads the Cornell Movie-Dialogs Corpus, as a zip or as a folder.

The files separate their fields by ` +++$+++ `. Bytes are single-byte Western: ISO-8859-1 on paper, with cp1252's quotes
and dashes (0x80-0x9f) in practice; copies saved again as UTF-8 or UTF-16 read as the same. Conversations name their
lines by id; some lines are empty and, in a damaged copy, some are missing.

Source: Danescu-Niculescu-Mizil and Lee, "Chameleons in imagined conversations", CMCL 2011.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from hub.rights import UNKNOWN, Citation, Rights
from hub.text_file import BYTES_AT_ONCE, SINGLE_BYTES
from training.data.corpus.assemble import MISSING, Film, Reading, Speaker, parse_number
from training.data.corpus.text import utf8_western

if TYPE_CHECKING:
    import pyarrow as pa

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

ROWS_BLOCK = 1 << 21  # bytes

_LINE_IDS = r"^\[('[^']*'(, '[^']*')*)?\]$"


def read(files: Mapping[str, bytes]) -> Reading:
    """Reads the contents of `FILES` and, where it is there, of `URLS`. A row that cannot be read is counted."""
    counts: Counter[str] = Counter()
    decoded = {name: utf8_western(content, counts) for name, content in files.items()}
    texts = {name: text for name, (text, _) in decoded.items()}
    films = _films(texts, counts)
    speakers = _speakers(texts[CHARACTERS_FILE], counts)
    reading = Reading(list(films.values()), list(speakers.values()), counts=counts, rights=rights_of(films.values()))
    film, sizes, listed = _talks(texts[CONVERSATIONS_FILE], counts)
    film_of_lines, lines = _lines(
        texts[LINES_FILE], listed, reading, {one: place for place, one in enumerate(speakers)}
    )
    known = dict.fromkeys([*films, *film.unique().to_pylist()])
    reading.films += [Film(id=one) for one in [*known][len(films) :]]
    film_of = _places(film, known)
    there = np.flatnonzero(lines >= 0)
    strange = there[_places(film_of_lines, known)[lines[there]] != np.repeat(film_of, sizes)[there]]
    if len(strange):  # a line of another film is taken for missing
        counts["lines of another film than their conversation's"] += len(strange)
        lines[strange] = MISSING
    every, ends = lines.tolist(), np.cumsum(sizes).tolist()
    spans = zip(film_of.tolist(), [0, *ends], ends, strict=False)
    reading.conversations += [(one, every[start:end]) for one, start, end in spans]
    if decoded[LINES_FILE][1] == SINGLE_BYTES:
        counts["lines with cp1252 bytes"] = _lines_with_cp1252(files[LINES_FILE])
    return reading


def _lines_with_cp1252(raw: bytes) -> int:
    """How many lines have a byte that cp1252 and ISO-8859-1 read differently."""
    rows = set[int]()
    for start in range(0, len(raw), BYTES_AT_ONCE):
        block = np.frombuffer(raw, np.uint8, min(BYTES_AT_ONCE, len(raw) - start), start)
        places = np.flatnonzero((block >= 0x80) & (block <= 0x9F)) + start
        rows.update(raw.rfind(b"\n", 0, place) for place in places.tolist())
    return len(rows)


def rights_of(films: Iterable[Film]) -> Rights:
    """Those of the corpus itself, told by its first film; other films in its form have others."""
    return RIGHTS if any(film.id == "m0" and film.title == "10 things i hate about you" for film in films) else UNKNOWN


def _columns(content: bytes, fields: int, name: str, counts: Counter[str]) -> list[pa.Array]:
    """The fields of the rows of UTF-8 text, a column each; a row of another number is counted and passed over.

    A last row without its newline is where a cut-off copy ends: it cannot be trusted and is passed over as well.
    """
    import pyarrow as pa

    content = content.replace(b"\r\n", b"\n") if b"\r" in content else content
    end = content.rfind(b"\n") + 1
    if content[end:].decode().strip():
        counts[f"{name}: last row cut off"] += 1
    columns: list[list[pa.Array]] = [[pa.array([], pa.string())] for _ in range(fields)]
    start = 0
    while start < end:  # by blocks: what is made on the way fits a processor's cache
        cut = content.rfind(b"\n", start, start + ROWS_BLOCK) + 1 or content.find(b"\n", start) + 1
        values = _split(content[start : cut - 1], fields, name, counts).flatten()
        for place, column in enumerate(columns):
            column.append(values.take(np.arange(place, len(values), fields)).cast(pa.string()))
        start = cut
    return [pa.concat_arrays(column) for column in columns]


def _split(block: bytes, fields: int, name: str, counts: Counter[str]) -> pa.ListArray:
    """The rows of a block that have so many fields, each a list of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pc.split_pattern(pa.array([block], pa.large_string()), "\n").flatten()
    values = pc.split_pattern(rows, SEPARATOR)
    odd = values.value_lengths().to_numpy() != fields
    if not odd.any():
        return values
    texts = rows.filter(odd).to_pylist()  # where the last field is empty, its separator may have lost its space
    mended = [f"{row} " if row.endswith(SEPARATOR.rstrip()) else row for row in texts]
    values = pc.split_pattern(pc.replace_with_mask(rows, odd, pa.array(mended, rows.type)), SEPARATOR)
    odd = values.value_lengths().to_numpy() != fields
    if strange := sum(bool(row.strip()) for row in rows.filter(odd).to_pylist()):
        counts[f"{name}: rows not in {fields} fields"] += strange
    return values.filter(~odd)


def _rows(content: bytes, fields: int, name: str, counts: Counter[str]) -> Iterable[tuple[str, ...]]:
    """The rows of `_columns`."""
    return zip(*(column.to_pylist() for column in _columns(content, fields, name, counts)), strict=True)


def _films(texts: Mapping[str, bytes], counts: Counter[str]) -> dict[str, Film]:
    urls = {film: url.strip() for film, _, url in _rows(texts.get(URLS, b""), 3, URLS, counts)}
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


def _speakers(content: bytes, counts: Counter[str]) -> dict[str, Speaker]:
    speakers = {}
    for speaker, name, _film, _title, gender, position in _rows(content, 6, CHARACTERS_FILE, counts):
        folded = gender.strip().lower()
        speakers[speaker] = Speaker(name.strip(), folded if folded in ("f", "m") else "?", parse_number(int, position))
    return speakers


def _talks(content: bytes, counts: Counter[str]) -> tuple[pa.Array, np.ndarray, pa.Array]:
    """The film of each conversation, how many lines it has, and the ids of the lines of all."""
    import pyarrow.compute as pc

    _first, _second, film, listed = _columns(content, 4, CONVERSATIONS_FILE, counts)
    counts["conversations in the source"] += len(listed)
    listed = pc.utf8_trim_whitespace(listed)
    spelled = pc.match_substring_regex(listed, _LINE_IDS)
    if unread := len(listed) - spelled.true_count:
        counts["conversations whose line list cannot be read"] += unread
        film, listed = film.filter(spelled), listed.filter(spelled)
    pieces = pc.split_pattern(listed, "'")  # [ L1 , L2 ]: every second one is an id
    sizes = pieces.value_lengths().to_numpy().astype(np.int64) // 2
    places = np.arange(2 * sizes.sum() + len(sizes)) - np.repeat(
        np.cumsum(2 * sizes + 1) - 2 * sizes - 1, 2 * sizes + 1
    )
    return film, sizes, pieces.flatten().filter(places % 2 == 1)


def _lines(content: bytes, listed: pa.Array, reading: Reading, speakers: dict[str, int]) -> tuple[pa.Array, np.ndarray]:
    """Adds the lines to the reading. Returns the film of each, and the place of each listed id, or `MISSING`."""
    import pyarrow as pa

    columns = _columns(content, 5, LINES_FILE, reading.counts)
    ids = pa.concat_arrays([columns[0], listed]).dictionary_encode().indices.to_numpy()
    own = ids[: len(columns[0])]  # told in the order in which they are first seen
    new = np.diff(np.maximum.accumulate(own), prepend=-1) > 0
    if not new.all():
        reading.counts["line ids seen twice"] += int((~new).sum())
        columns = [column.filter(new) for column in columns]
    reading.line_ids, speaker, film, names, reading.raw_text = columns
    _speak(speaker, names, reading, speakers)
    return film, np.where(ids[len(own) :] < len(film), ids[len(own) :], MISSING)


def _speak(ids: pa.Array, names: pa.Array, reading: Reading, speakers: dict[str, int]) -> None:
    """Adds who speaks each line to the reading, and the speakers that are not in it yet."""
    import pyarrow as pa

    places = _places(ids, speakers)
    for line in np.flatnonzero(places < 0).tolist():
        speaker = ids[line].as_py()
        if speaker not in speakers:
            speakers[speaker] = len(reading.speakers)
            reading.speakers.append(Speaker(names[line].as_py().strip()))
        places[line] = speakers[speaker]
    reading.speaker_of = pa.array(places, pa.int32())


def _places(values: pa.Array, among: Iterable[str]) -> np.ndarray:
    """The place of each value among distinct ones; -1 where it is none of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.array(pc.fill_null(pc.index_in(values, pa.array(among, pa.string())), -1))
