"""Reads the Cornell Movie-Dialogs Corpus, as a zip or as a folder, into conversations.

The five files separate their fields by ` +++$+++ `. Bytes are single-byte Western: ISO-8859-1 on paper, with cp1252's
quotes and dashes (0x80-0x9f) in practice. Conversations name their lines by id; some lines are empty and, in a damaged
copy, some are missing. Nothing is dropped in silence: `Corpus.counts` says how often each rule was used.

Source: Danescu-Niculescu-Mizil and Lee, "Chameleons in imagined conversations", CMCL 2011.
"""

from __future__ import annotations

import ast
import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hub.errors import UserError

T = TypeVar("T")

SEPARATOR = b" +++$+++ "
LINES, CONVERSATIONS, TITLES, CHARACTERS = (
    "movie_lines.txt",
    "movie_conversations.txt",
    "movie_titles_metadata.txt",
    "movie_characters_metadata.txt",
)
PUBLIC_ADDRESS = "http://www.cs.cornell.edu/~cristian/data/cornell_movie_dialogs_corpus.zip"

# cp1252 leaves five bytes undefined; ISO-8859-1 defines all 256, so each byte has exactly one reading.
_WESTERN = {byte: bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(0x80, 0xA0)}
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,9}\s*/?>")
_CONTROL_TOKEN = re.compile(r"<\|(\w+)\|>")
_LINE_IDS = re.compile(r"\[('[^']*'(, '[^']*')*)?\]")


class CorpusError(UserError):
    """The corpus cannot be read; the message says what, why and the cure in one line."""


@dataclass(frozen=True)
class Film:
    id: str
    title: str
    year: int | None
    rating: float | None
    votes: int | None
    genres: tuple[str, ...]

    @property
    def key(self) -> str:
        """What the split is decided by: the title, so that a film lands on one side whichever corpus it came from."""
        return self.title or self.id


@dataclass(frozen=True)
class Speaker:
    name: str
    gender: str  # "f", "m" or "?"
    position: int | None  # place in the credits, from 1


@dataclass(frozen=True)
class Line:
    id: str
    speaker: Speaker
    raw: str  # decoded, otherwise as it stands in the file
    text: str  # cleaned


@dataclass(frozen=True)
class Conversation:
    id: str
    film: Film
    lines: tuple[Line, ...]  # at least two, none empty


@dataclass
class Corpus:
    """Conversations in file order, and what was counted on the way."""

    conversations: list[Conversation]
    sha256: str
    counts: Counter[str] = field(default_factory=Counter)


def decode(raw: bytes) -> str:
    """Decodes single-byte Western text: cp1252 where it defines a byte, ISO-8859-1 where it does not."""
    return raw.decode("iso-8859-1").translate(_WESTERN)


def clean(text: str) -> str:
    """Takes markup out, spells control tokens (`<|im_end|>`) as plain words, and folds white space."""
    if "<" in text:
        text = _CONTROL_TOKEN.sub(r"\1", _MARKUP.sub("", text))
    return " ".join(text.split())


def split_of(key: str, salt: str) -> str:
    """Puts a film (or any other key) into `test` (20%), `validation` (20% of the rest) or `train`, by hash.

    The place depends on the key and the salt alone, so adding a film moves no other film.
    """
    folded = re.sub(r"\W+", " ", key).strip().casefold()
    digest = hashlib.sha256(f"{salt}:{folded}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < 0.20:
        return "test"
    return "validation" if place < 0.36 else "train"


def read(path: str | Path) -> Corpus:
    """Reads a Cornell corpus from its zip or its unpacked folder.

    Raises:
        CorpusError: the path is no corpus, a file is missing or cut off, or nothing readable is in it.
    """
    files = _open(Path(path))
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    for name in (LINES, CONVERSATIONS, TITLES, CHARACTERS):
        digest.update(files[name])
    films = _films(files[TITLES], counts)
    speakers = _speakers(files[CHARACTERS], counts)
    lines = _lines(files[LINES], speakers, counts)
    conversations = list(_conversations(files[CONVERSATIONS], films, lines, counts))
    if not conversations:
        raise CorpusError(
            f"{path}: no conversation could be read ({dict(counts)}); give the Cornell corpus in its original layout"
        )
    counts["conversations"] = len(conversations)
    counts["films"] = len({conversation.film.id for conversation in conversations})
    counts["lines in conversations"] = sum(len(conversation.lines) for conversation in conversations)
    return Corpus(conversations, digest.hexdigest(), counts)


def _open(path: Path) -> dict[str, bytes]:
    wanted = (LINES, CONVERSATIONS, TITLES, CHARACTERS)
    if path.is_dir():
        found = {entry.name: entry.read_bytes for entry in sorted(path.rglob("movie_*.txt"))}
    elif not path.exists():
        raise CorpusError(f"{path}: no such file or folder; give the corpus zip, or download it from {PUBLIC_ADDRESS}")
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise CorpusError(
                f"{path}: not a readable zip ({error}); download it again from {PUBLIC_ADDRESS}"
            ) from error
        found = {Path(name).name: _member(archive, name) for name in archive.namelist() if "__MACOSX" not in name}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise CorpusError(f"{path}: {', '.join(missing)} not in it; the Cornell corpus has {', '.join(wanted)}")
    try:
        return {name: found[name]() for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise CorpusError(f"{path}: damaged ({error}); download it again from {PUBLIC_ADDRESS}") from error


def _member(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def _rows(content: bytes, fields: int, name: str, counts: Counter[str]) -> Iterator[list[str]]:
    """Yields decoded fields; a row with another number of fields is counted and passed over.

    A last row without its newline is where a cut-off copy ends: it cannot be trusted and is passed over as well.
    """
    rows = content.split(b"\n")
    if rows[-1].strip():
        counts[f"{name}: last row cut off"] += 1
    for row in rows[:-1]:
        row = row.rstrip(b"\r")
        if not row.strip():
            continue
        values = decode(row).split(" +++$+++ ")
        if len(values) == fields - 1 and row.endswith(SEPARATOR.rstrip()):
            values[-1] = values[-1].removesuffix(" +++$+++")
            values.append("")
        if len(values) != fields:
            counts[f"{name}: rows not in {fields} fields"] += 1
            continue
        yield values


def _number(convert: Callable[[str], T], text: str) -> T | None:
    try:
        return convert(text)
    except ValueError:
        return None


def _films(content: bytes, counts: Counter[str]) -> dict[str, Film]:
    films = {}
    for film, title, year, rating, votes, genres in _rows(content, 6, TITLES, counts):
        year_number = re.match(r"\d{4}", year)  # "1995/I" is how IMDb tells namesakes of one year apart
        films[film] = Film(
            film,
            title.strip(),
            int(year_number[0]) if year_number else None,
            _number(float, rating),
            _number(int, votes),
            tuple(re.findall(r"'([^']+)'", genres)),
        )
    return films


def _speakers(content: bytes, counts: Counter[str]) -> dict[str, Speaker]:
    speakers = {}
    for speaker, name, _film, _title, gender, position in _rows(content, 6, CHARACTERS, counts):
        folded = gender.strip().lower()
        speakers[speaker] = Speaker(name.strip(), folded if folded in ("f", "m") else "?", _number(int, position))
    return speakers


def _lines(content: bytes, speakers: dict[str, Speaker], counts: Counter[str]) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    for line, speaker, _film, name, raw in _rows(content, 5, LINES, counts):
        known = speakers.get(speaker) or Speaker(name.strip(), "?", None)
        text = clean(raw)
        if text != raw:
            counts["lines whose text was cleaned"] += 1
        if line in lines:
            counts["line ids seen twice"] += 1
            continue
        lines[line] = Line(line, known, raw, text)
    counts["lines"] = len(lines)
    return lines


def _conversations(
    content: bytes, films: dict[str, Film], lines: dict[str, Line], counts: Counter[str]
) -> Iterator[Conversation]:
    """Yields runs of neighbouring lines: an empty or missing line ends a run, so that no pair spans a gap."""
    for _first, _second, film_id, listed in _rows(content, 4, CONVERSATIONS, counts):
        counts["conversations in the file"] += 1
        if not _LINE_IDS.fullmatch(listed.strip()):
            counts["conversations whose line list cannot be read"] += 1
            continue
        film = films.get(film_id) or Film(film_id, "", None, None, None, ())
        run: list[Line] = []
        runs = [run]
        for line_id in ast.literal_eval(listed.strip()):
            line = lines.get(line_id)
            if line is None or not line.text:
                counts["gaps: line id missing" if line is None else "gaps: empty line"] += 1
                run = []
                runs.append(run)
            else:
                run.append(line)
        for run in runs:
            if len(run) >= 2:
                yield Conversation(f"{film_id}:{run[0].id}", film, tuple(run))
            elif run:
                counts["lines left alone by a gap"] += 1
