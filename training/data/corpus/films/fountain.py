"""Parses Fountain, screenplays as plain text.

Source: https://fountain.io/syntax (1.1). A character is a line in capitals after an empty line and before one with
text, or begins with `@`; what follows up to the next empty line is dialogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from training.data.corpus.assemble import Film, Reading
from training.data.corpus.films.screenplay import Element, read_elements
from training.data.corpus.text import decode_western

TITLE_KEYS = ("title", "credit", "author", "authors", "source", "draft date", "contact")
LONGEST = 10_000
"""Characters of a line in which emphasis is looked for; a longer one is no line of a screenplay."""

_HEADING = re.compile(r"(INT\.?/EXT|EXT\.?/INT|INT|EXT|EST|I/E)[. ]", re.IGNORECASE)
_TITLE_KEY = re.compile(r"([A-Za-z][A-Za-z ]*):(.*)")
_EMPHASIS = re.compile(r"(?<!\\)(\*{1,3}|_)(?=\S)(.+?)(?<=\S)(?<!\\)\1")
_ESCAPED = re.compile(r"\\([*_\\])")
_PARENTHETICAL = re.compile(r"\s*\(.*\)\s*")


def read_fountain(raw: bytes, film: Film, counts: Counter[str]) -> Reading:
    """Reads one screenplay; a title page's `Title` is the film's."""
    text = decode_western(raw, counts).text
    for marks in (("/*", "*/"), ("[[", "]]")):
        text = without_spans(text, *marks, counts)
    lines = [line.rstrip("\r") for line in text.split("\n")]
    title, start = title_page(lines)
    counts["lines of title pages"] += sum(bool(line.strip()) for line in lines[:start])
    return read_elements(elements_of(lines[start:]), film._replace(title=title or film.title), counts)


def without_spans(text: str, opening: str, closing: str, counts: Counter[str]) -> str:
    """Text without what stands between two marks; an opening one without a closing one is text."""
    kept, at = [], 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        counts["notes and cut passages left out"] += 1
        kept.append(text[at:start])
        at = end + len(closing)
    return "".join([*kept, text[at:]])


def title_page(lines: list[str]) -> tuple[str | None, int]:
    """Title, and the place of the first line after the title page; None and 0 where there is none."""
    end = next((place for place, line in enumerate(lines) if not line.strip()), len(lines))
    found = [_TITLE_KEY.match(line) for line in lines[:end]]
    if not (found and found[0] and any(one and one[1].strip().lower() in TITLE_KEYS for one in found)):
        return None, 0
    key, title = "", list[str]()
    for line, one in zip(lines[:end], found, strict=True):
        key = one[1].strip().lower() if one else key
        if key == "title":  # which may go on in the lines below it
            title.append(one[2] if one else line)
    return plain(" ".join(" ".join(title).split())) or None, end


def elements_of(lines: list[str]) -> Iterator[Element]:
    """Elements in their order; every line with text is in one."""
    speaking = False
    for place, line in enumerate(lines):
        text = line.strip()
        if not text:
            speaking = speaking and len(line) >= 2  # two spaces keep an empty line within a speech
            continue
        after_empty = place == 0 or not lines[place - 1].strip()
        before_text = place + 1 < len(lines) and bool(lines[place + 1].strip())
        if speaking:
            kind = "lyrics" if text[0] == "~" else "parenthetical" if _PARENTHETICAL.fullmatch(text) else "dialogue"
            yield Element(kind, plain(text))  # type: ignore[arg-type]
        elif is_heading(text, after_empty):
            yield Element("scene heading", text)
        elif is_character(text, after_empty, before_text):
            speaking = True
            yield Element("character", plain(text.removeprefix("@")))
        else:
            yield Element("lyrics" if text[0] == "~" else "action", text)


def is_heading(text: str, after_empty: bool) -> bool:
    """Whether a line is a scene heading, by its first word or by force: a single dot before it."""
    return after_empty and bool(_HEADING.match(text) or (text[0] == "." and text[1:2].isalnum()))


def is_character(text: str, after_empty: bool, before_text: bool) -> bool:
    """Whether a line is a character's name: in capitals (what stands in brackets aside), or forced by `@`."""
    if not (after_empty and before_text) or text[0] in "!>~#=.":
        return False
    name = re.sub(r"\([^()]*\)|\^$", "", text).strip()
    return text[0] == "@" or (name == name.upper() != name.lower() and not name.endswith("TO:"))


def plain(text: str) -> str:
    """Text without the marks of emphasis."""
    before = None
    while before != text and len(text) <= LONGEST:
        before, text = text, _EMPHASIS.sub(r"\2", text)
    return _ESCAPED.sub(r"\1", text).strip()
