"""Reads a corpus in ConvoKit's form, as its `movie-corpus` is: utterances.jsonl, conversations.json, speakers.json.

An utterance names its conversation (that is, the first utterance of it) and the one it replies to; where it does not
name its conversation, that is the one of the utterance replied to. ConvoKit 1 and 2 wrote utterances.json and
users.json, and `root`, `user` and `reply-to` for `conversation_id`, `speaker` and `reply_to`; all are read.

Source: Chang et al., "ConvoKit: A Toolkit for the Analysis of Conversations", SIGDIAL 2020;
https://convokit.cornell.edu/documentation/data_format.html
"""

from __future__ import annotations

import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.text_file import decode_certain
from training.data.corpus.assemble import MISSING, Film, Reading, Speaker, parse_number
from training.data.corpus.cornell import rights_of
from training.data.corpus.tables.json_rows import json_rows
from training.data.corpus.tables.turns import spell_shape

UTTERANCES, CONVERSATIONS, SPEAKERS = FILES = ("utterances.jsonl", "conversations.json", "speakers.json")
NULLS = ("", "None", "null", "nan", "NaN")
OLDER = {"utterances.json": UTTERANCES, "users.json": SPEAKERS}
"""What the files were called before, and what they are called now."""


class Utterance(NamedTuple):
    """One line, as its row has it."""

    id: str
    conversation: str | None
    speaker: str
    reply_to: str | None
    text: str
    time: float | None


def named_as_now(found: Mapping[str, Callable[[], bytes]]) -> dict[str, Callable[[], bytes]]:
    """The files of a corpus by the names of today; where both names are there, today's."""
    return {OLDER.get(name, name): found[name] for name in sorted(found, key=lambda name: name not in OLDER)}


def read(files: Mapping[str, bytes]) -> Reading:
    """Reads the contents of `FILES`. Raises ValueError where conversations.json or speakers.json is no JSON object."""
    counts: Counter[str] = Counter()
    reading = Reading(counts=counts)
    utterances = _utterances(files[UTTERANCES], reading)
    about_speakers, about_conversations = (_metadata(files[name], name) for name in (SPEAKERS, CONVERSATIONS))
    parents = _without_cycles(utterances, counts)
    speakers: dict[str, int] = {}
    talks: dict[str, list[int]] = {}
    for utterance in utterances:
        if utterance.speaker not in speakers:
            speakers[utterance.speaker] = len(speakers)
            reading.speakers.append(_speaker(utterance.speaker, about_speakers.get(utterance.speaker, {})))
        reading.line_ids.append(utterance.id)
        reading.raw_text.append(utterance.text)
        reading.speaker_of.append(speakers[utterance.speaker])
    for place, conversation in enumerate(_conversations_of(utterances, parents)):
        talks.setdefault(conversation, []).append(place)
    films: dict[Film, int] = {}
    for conversation, lines in talks.items():
        film = _film(about_conversations.get(conversation, {}))
        if film.key is None:  # without a film, a conversation is its own
            film = film._replace(id=conversation)
        counts["conversations in the source"] += 1
        spoken = _in_order(lines, utterances, parents, counts)
        reading.conversations.append((films.setdefault(film, len(films)), spoken))
    reading.films = list(films)
    reading.rights = rights_of(reading.films)  # its movie-corpus is Cornell's
    return reading


def _utterances(content: bytes, reading: Reading) -> list[Utterance]:
    """Utterances in the order of the file; one without an id, or with the id of another, is counted."""
    utterances: dict[str, Utterance] = {}
    for row in json_rows(lambda: io.BytesIO(content), UTTERANCES, reading.counts):
        id = _first(row, "id") if isinstance(row, dict) else None
        if id is None:
            reading.counts["utterances without an id"] += 1
            seen = f"an utterance is {spell_shape(row)}; it takes an object with id, text and speaker"
            reading.unread = reading.unread or seen
            continue
        text = row.get("text")
        if id in utterances:
            reading.counts["line ids seen twice"] += 1
            continue
        utterances[id] = Utterance(
            id=id,
            conversation=_first(row, "conversation_id", "root"),
            speaker=_first(row, "speaker", "user") or "?",
            reply_to=_first(row, "reply_to", "reply-to"),
            text=text if isinstance(text, str) else "",
            time=_seconds(row.get("timestamp")),
        )
    return list(utterances.values())


def _first(row: Mapping[str, Any], *keys: str) -> str | None:
    """The first of several names of a field that is not null, as text. An object (a speaker) is its id.

    Null may have been spelled out, by a table that the corpus has gone through.
    """
    value = next((row[key] for key in keys if row.get(key) is not None), None)
    value = value.get("id") if isinstance(value, dict) else value
    return None if value is None or str(value).strip() in NULLS else str(value)


def _seconds(timestamp: Any) -> float | None:
    """Seconds of a timestamp, from a number or an ISO 8601 date; None where it is neither."""
    try:
        seconds = float(timestamp)
    except (TypeError, ValueError, OverflowError):
        try:
            time = datetime.fromisoformat(str(timestamp))
        except ValueError:
            return None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return seconds if math.isfinite(seconds) else None


def _without_cycles(utterances: list[Utterance], counts: Counter[str]) -> list[int | None]:
    """The place of what each utterance replies to; None for a root, `MISSING` for what is not there.

    One that replies to itself is a root. Any other cycle is broken at its earliest utterance, and counted.
    """
    places = {utterance.id: place for place, utterance in enumerate(utterances)}
    parents: list[int | None] = []
    for place, utterance in enumerate(utterances):
        parent = None if utterance.reply_to is None else places.get(utterance.reply_to, MISSING)
        counts["utterances that reply to themselves, read as roots"] += parent == place
        parents.append(None if parent == place else parent)
    checked = [False] * len(utterances)
    for start in range(len(utterances)):
        path: list[int] = []
        on_path: set[int] = set()
        at: int | None = start
        while at is not None and at != MISSING and not checked[at]:
            checked[at] = True
            path.append(at)
            on_path.add(at)
            at = parents[at]
        if at in on_path:
            parents[_chronological(sorted(path[path.index(at) :]), utterances)[0]] = None
            counts["cycles of replies, broken at the earliest"] += 1
    return parents


def _conversations_of(utterances: list[Utterance], parents: list[int | None]) -> list[str]:
    """The conversation of each utterance: the one it names, else that of what it replies to, else its own id."""
    found: list[str | None] = [utterance.conversation for utterance in utterances]
    for start in range(len(utterances)):
        path = []
        at: int | None = start
        while at is not None and at != MISSING and found[at] is None:
            path.append(at)
            at = parents[at]
        if path:
            root = found[at] if at is not None and at != MISSING else utterances[path[-1]].id
            for place in path:
                found[place] = root
    return [str(conversation) for conversation in found]


def _chronological(lines: list[int], utterances: list[Utterance]) -> list[int]:
    """Lines by their timestamps; as they stand in the file where one of them has none."""
    times = {line: utterances[line].time for line in lines}
    return lines if None in times.values() else sorted(lines, key=lambda line: times[line] or 0.0)


def _in_order(
    lines: list[int], utterances: list[Utterance], parents: list[int | None], counts: Counter[str]
) -> list[int]:
    """The lines of a conversation as they were spoken: from one that answers nothing here, each to its first reply.

    A second such opening comes after a gap. A second reply to one line is a side branch, counted and left out. Where no
    line is a reply, they were spoken in the order of their timestamps, else of the file.
    """
    lines = _chronological(lines, utterances)
    if all(parents[line] is None for line in lines):
        counts["conversations without replies, in order of time or file"] += len(lines) > 1
        return lines
    here = set(lines)
    openings: list[int] = []
    reply: dict[int, int] = {}
    for line in lines:
        parent = parents[line]
        if parent in here:
            reply.setdefault(parent, line)
        else:
            openings.append(line)
    ordered: list[int] = []
    for opening in openings:
        ordered += [MISSING] * bool(ordered)
        spoken: int | None = opening
        while spoken is not None:
            ordered.append(spoken)
            spoken = reply.get(spoken)
    if left := len(lines) - sum(line >= 0 for line in ordered):
        counts["lines on a side branch"] += left
    return ordered


def _metadata(content: bytes, name: str) -> dict[str, dict[str, Any]]:
    """The `meta` of every entry. In old corpora there is no `meta` between."""
    entries = json.loads(decode_certain(content, name))
    if not isinstance(entries, dict):
        raise ValueError(f"{name} holds no JSON object")
    mappings = {key: entry for key, entry in entries.items() if isinstance(entry, dict)}
    return {key: entry["meta"] if isinstance(entry.get("meta"), dict) else entry for key, entry in mappings.items()}


def _speaker(id: str, about: dict[str, Any]) -> Speaker:
    gender = str(about.get("gender", "?")).lower()
    return Speaker(
        str(about.get("character_name") or id),
        gender if gender in ("f", "m") else "?",
        parse_number(int, about.get("credit_pos")),
    )


def _film(about: dict[str, Any]) -> Film:
    genres = about.get("genre") or about.get("genres") or []
    movie_id = about.get("movie_idx")
    year = re.match(r"[0-9]{4}", str(about.get("release_year", "")))
    return Film(
        id=None if movie_id is None else str(movie_id),
        title=str(about.get("movie_name") or "").strip() or None,
        year=int(year[0]) if year else None,
        rating=parse_number(float, about.get("rating")),
        votes=parse_number(int, about.get("votes")),
        genres=tuple(map(str, genres if isinstance(genres, list) else re.findall(r"'([^']+)'", str(genres)))),
    )
