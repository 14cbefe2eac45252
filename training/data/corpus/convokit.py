"""Reads a corpus in ConvoKit's form, as its `movie-corpus` is: utterances.jsonl, conversations.json, speakers.json.

An utterance names its conversation (that is, the first utterance of it) and the one it replies to; the order in the
file means nothing. ConvoKit 2 wrote `root`, `user` and `reply-to` for what is `conversation_id`, `speaker` and
`reply_to` since; both are read.

Source: Chang et al., "ConvoKit: A Toolkit for the Analysis of Conversations", SIGDIAL 2020;
https://convokit.cornell.edu/documentation/data_format.html
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from training.data.corpus.assemble import Film, Reading, Speaker, parse_number
from training.data.corpus.cornell import rights_of

UTTERANCES, CONVERSATIONS, SPEAKERS = FILES = ("utterances.jsonl", "conversations.json", "speakers.json")


def read(files: Mapping[str, bytes]) -> Reading:
    """Reads the contents of `FILES`. Raises ValueError where conversations.json or speakers.json is no JSON object."""
    counts: Counter[str] = Counter()
    reading = Reading([], [], [], [], [], [], counts)
    utterances = _utterances(files[UTTERANCES], counts)
    about_speakers, about_conversations = (_metadata(files[name], name) for name in (SPEAKERS, CONVERSATIONS))
    speakers: dict[str, int] = {}
    talks: dict[str, list[int]] = {}
    replies_to: list[str | None] = []
    for line, (conversation, speaker, reply_to, text) in utterances.items():
        if speaker not in speakers:
            speakers[speaker] = len(speakers)
            reading.speakers.append(_speaker(speaker, about_speakers.get(speaker, {})))
        talks.setdefault(conversation, []).append(len(reading.line_ids))
        replies_to.append(reply_to)
        reading.line_ids.append(line)
        reading.raw_text.append(text)
        reading.speaker_of.append(speakers[speaker])
    films: dict[Film, int] = {}
    for conversation, lines in talks.items():
        film = _film(about_conversations.get(conversation, {}))
        if film.key is None:  # without a film, a conversation is its own
            film = film._replace(id=conversation)
        counts["conversations in the source"] += 1
        reading.conversations.append(
            (films.setdefault(film, len(films)), _in_order(lines, reading.line_ids, replies_to, counts))
        )
    reading.films = list(films)
    reading.rights = rights_of(reading.films)  # its movie-corpus is Cornell's
    return reading


def _utterances(content: bytes, counts: Counter[str]) -> dict[str, tuple[str, str, str | None, str]]:
    """Conversation, speaker, the utterance replied to and text, by utterance id."""
    utterances: dict[str, tuple[str, str, str | None, str]] = {}
    for row in content.split(b"\n"):
        if not row.strip():
            continue
        try:
            utterance = json.loads(row)
            reply_to = utterance.get("reply_to", utterance.get("reply-to"))
            line, text = str(utterance["id"]), utterance["text"]
            conversation = str(utterance.get("conversation_id", utterance.get("root", line)))
            speaker = str(utterance.get("speaker", utterance.get("user", "?")))
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            counts[f"{UTTERANCES}: rows that cannot be read"] += 1
            continue
        if not isinstance(text, str):
            text = ""
        if line in utterances:
            counts["line ids seen twice"] += 1
            continue
        utterances[line] = conversation, speaker, None if reply_to is None else str(reply_to), text
    return utterances


def _in_order(lines: list[int], ids: list[str], replies_to: list[str | None], counts: Counter[str]) -> list[int]:
    """The lines of a conversation as they were spoken: from one that answers nothing here, each to its first reply.

    A second such opening comes after a gap (-1). A second reply to one line is a side branch, counted and left out.
    """
    here = {ids[line] for line in lines}
    openings: list[int] = []
    reply: dict[str, int] = {}
    for line in lines:
        answered = replies_to[line]
        if answered in here:
            reply.setdefault(str(answered), line)
        else:
            openings.append(line)
    ordered: list[int] = []
    for opening in openings:
        ordered += [-1] * bool(ordered)
        spoken: int | None = opening
        while spoken is not None:
            ordered.append(spoken)
            spoken = reply.get(ids[spoken])
    if left := len(lines) - sum(line >= 0 for line in ordered):
        counts["lines on a side branch"] += left
    return ordered


def _metadata(content: bytes, name: str) -> dict[str, dict[str, Any]]:
    """The `meta` of every entry. In old corpora there is no `meta` between."""
    entries = json.loads(content)
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
