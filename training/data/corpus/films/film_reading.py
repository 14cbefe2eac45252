"""Conversations of one film as a `Reading`, and the readings of many films as one.

Readers of collections (subtitles, screenplays) go film by film: each file becomes a `Reading` of its own, so that what
is held is one film and its text. `join_readings` puts them together for `assemble`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from hub.rights import Rights, combine_rights
from training.data.corpus.assemble import LEFT_OUT, Film, Reading, Speaker


class Line(NamedTuple):
    """What one speaker says before another does."""

    text: str
    speaker: str = "?"


Conversation = list[Line | None]
"""Lines as they are spoken; None where something is left out: no pair spans it."""


def film_reading(film: Film, conversations: Iterable[Conversation], counts: Counter[str], unread: str = "") -> Reading:
    """Reading of one film. Lines are numbered from 1 within it: `dusk.srt.12`."""
    reading = Reading([film], counts=counts, unread=unread)
    speakers: dict[str, int] = {}
    for conversation in conversations:
        places: list[int] = []
        for line in conversation:
            if line is None:
                if places and places[-1] != LEFT_OUT:
                    places.append(LEFT_OUT)
                continue
            places.append(len(reading.line_ids))
            reading.line_ids.append(f"{film.id}.{len(reading.line_ids) + 1}")
            reading.raw_text.append(line.text)
            reading.speaker_of.append(speakers.setdefault(line.speaker, len(speakers)))
        if places:
            counts["conversations in the source"] += 1
            reading.conversations.append((0, places))
    reading.speakers = [Speaker(name) for name in speakers]
    return reading


def join_readings(readings: Iterable[Reading]) -> Reading:
    """One reading of several; places are moved along, and speakers of one description are one."""
    joined = Reading()
    speakers: dict[Speaker, int] = {}
    rights: list[Rights] = []
    for reading in readings:
        films, lines = len(joined.films), len(joined.line_ids)
        joined.films += reading.films
        joined.line_ids += reading.line_ids
        joined.raw_text += reading.raw_text
        own = [speakers.setdefault(speaker, len(speakers)) for speaker in reading.speakers]
        joined.speaker_of += [own[place] for place in reading.speaker_of]
        joined.conversations += [
            (films + film, [lines + place if place >= 0 else place for place in places])
            for film, places in reading.conversations
        ]
        joined.counts.update(reading.counts)
        if reading.conversations and reading.rights not in rights:
            rights.append(reading.rights)
        joined.unread = joined.unread or reading.unread
    joined.speakers, joined.rights = list(speakers), combine_rights(rights)
    return joined
