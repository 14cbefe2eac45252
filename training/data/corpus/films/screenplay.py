"""Screenplays to conversations: who speaks is known, and a scene heading ends a conversation.

A parser (`fountain`, `final_draft`) says what each paragraph is; here the same rules are applied to all of them.
Parentheticals, action, lyrics and all else that is not spoken is left out and counted; consecutive lines of one
speaker, with action between or not, are one turn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from training.data.corpus.assemble import Film, Reading
from training.data.corpus.films.film_reading import Conversation, Line, film_reading

Kind = Literal["scene heading", "character", "dialogue", "parenthetical", "lyrics", "action"]
_EXTENSION = re.compile(r"\s*(\([^()]*\)|\^)\s*$")
_INLINE = re.compile(r"\([^()]*\)")


class Element(NamedTuple):
    """One paragraph of a screenplay; whatever else there is (a transition, a note) counts as action."""

    kind: Kind
    text: str


def read_elements(elements: Iterable[Element], film: Film, counts: Counter[str]) -> Reading:
    """Reading of one screenplay."""
    talks: list[Conversation] = [[]]
    speaker, found = "?", 0
    for element in elements:
        counts[f"screenplay: {element.kind}"] += 1
        if element.kind == "scene heading":
            talks.append([])
            speaker = "?"
        elif element.kind == "character":
            speaker = name_of(element.text)
        elif element.kind == "lyrics":
            talks[-1].append(None)
        elif element.kind == "dialogue":
            text, asides = _INLINE.subn(" ", element.text)
            counts["parentheticals within a line, taken out"] += asides
            found += 1
            add_line(talks[-1], Line(" ".join(text.split()), speaker), counts)
    unread = "" if found else f"{film.id} has no dialogue under the names of characters"
    counts["screenplays without dialogue"] += not found
    return film_reading(film, talks, counts, unread)


def add_line(talk: Conversation, line: Line, counts: Counter[str]) -> None:
    """Adds a line to a scene, to the turn before where that is of the same speaker."""
    if not line.text:
        counts["lines of parentheticals alone"] += 1
        return
    before = talk[-1] if talk else None
    if before is None or before.speaker != line.speaker or line.speaker == "?":
        talk.append(line)
    else:
        counts["turns joined to the one before, of the same speaker"] += 1
        talk[-1] = before._replace(text=f"{before.text} {line.text}")


def name_of(cue: str) -> str:
    """Name in a character's cue, without `(V.O.)`, `(CONT'D)` and Fountain's mark of dual dialogue."""
    name = " ".join(cue.split())
    while (shorter := _EXTENSION.sub("", name)) != name:
        name = shorter
    return name or "?"
