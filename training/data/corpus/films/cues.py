"""Subtitles to conversations: noise is taken out and counted, turns are told by dashes, labels and sentences.

A subtitle does not say who speaks. What is told apart here: a dash, a label (`ANNA:`) or a voice tag begins a turn; a
subtitle that carries on the sentence of the one before is part of its turn; any other subtitle is a turn of its own, be
it of the same speaker or not. A silence ends the conversation. So neighbouring lines are mostly, not always, a line and
its answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from training.data.corpus.films.film_reading import Conversation, Line

SOUND = "subtitles of sounds alone"
LYRICS = "subtitles left out: lyrics"
CREDITS = "subtitles left out: credits and adverts"
SPOKEN = "subtitles with speech"
EMPTY = "subtitles without text"
"""What becomes of a subtitle: each has one of these, and `subtitles` is their sum."""

_SOUND = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\*[^*\n]+\*")
_LYRICS = re.compile(r"[\u2669-\u266f]|^\s*#.*#\s*$", re.MULTILINE)
_CREDITS = re.compile(
    r"https?://|\bwww\s?\.|open ?subtitles|osdb\.link|subscene|addic7ed|podnapisi"
    r"|\bsub(title)?s? ?(by\b|from\b|downloaded|ripped|edited|:)"
    r"|\b(sync(ed|hroni[sz]ed)?|correct(ed|ions?)|caption(ed|s|ing)|transcri(pt|bed)|translat(ed|ion)|ripped|encoded)"
    r" (and \w+ )?(by\b|sponsored)"
    r"|advertise your product|remove all ads|become (a )?vip member|rate this subtitle",
    re.IGNORECASE,
)
_DASH = re.compile(r"\s*[-\u2010-\u2015](?![-\u2010-\u2015\d])\s*")
_LABEL = re.compile(r"\s*([^\W\d_][^:\n]{0,30}?)\s*:(?:\s+|$)")
_FINISHED = re.compile(r"[^.][.!?][\"'\u2019\u201d\u00bb)]*$")
_BEGUN = re.compile(r"(\.\.|\u2026)|[^\w]*[^\W\d_]")


class Cue(NamedTuple):
    """What is shown at once."""

    lines: list[Line]
    """Without formatting; the speaker is "?" where no voice tag names one."""
    start: float | None = None
    end: float | None = None
    """In seconds; None where the form has no times."""
    after_gap: bool = False
    """Whether something of the film is missing before it."""


class _Piece(NamedTuple):
    text: str
    speaker: str
    begins: bool  # whether a dash, a label or a voice tag says that a turn begins


def conversations_of(cues: Iterable[Cue], silence: float, counts: Counter[str]) -> list[Conversation]:
    """Conversations of one film.

    Args:
        cues: in the order of their times, as players show them.
        silence: seconds without speech that end a conversation; cues without times are one until a gap.
        counts: what every rule touched.
    """
    talks: list[Conversation] = [[]]
    spoken_until: float | None = None
    shown = Cue([])
    for cue in cues:
        counts["subtitles"] += 1
        fresh = without_repeats(cue, shown, counts)
        shown = cue
        pieces = pieces_of(fresh, counts)
        if pieces is None:
            talks[-1].append(None)
            continue
        if not pieces:
            continue
        silent = cue.start is not None and spoken_until is not None and cue.start - spoken_until > silence
        if talks[-1] and (silent or cue.after_gap):
            counts["conversations ended by a silence" if silent else "conversations ended by a missing line"] += 1
            talks.append([])
        if cue.end is not None:
            spoken_until = max(cue.end, spoken_until or 0.0)
        for piece in pieces:
            add_piece(talks[-1], piece, counts)
    return talks


def without_repeats(cue: Cue, shown: Cue, counts: Counter[str]) -> Cue:
    """Takes out the line that rolling captions show again: of three words or more, without a pause between."""
    if cue.start is None or shown.end is None or not shown.lines or cue.start - shown.end > 0.05:
        return cue
    again = [line for line in cue.lines if line in shown.lines and len(line.text.split()) >= 3]
    if again:
        counts["lines shown again, taken out"] += len(again)
        return cue._replace(lines=[line for line in cue.lines if line not in again])
    return cue


def pieces_of(cue: Cue, counts: Counter[str]) -> list[_Piece] | None:
    """What is spoken in one subtitle, by turns; empty where nothing is, None where it is left out and makes a gap."""
    whole = "\n".join(line.text for line in cue.lines)
    for pattern, fate in ((_LYRICS, LYRICS), (_CREDITS, CREDITS)):
        if pattern.search(whole):
            counts[fate] += 1
            return None
    silent, sounds = _SOUND.subn(" ", whole)
    counts["sound descriptions taken out"] += sounds
    speakers = [line.speaker for line in cue.lines for _ in line.text.split("\n")]
    if sounds:  # one that runs over two lines has taken a line break with it
        speakers = speakers if silent.count("\n") == whole.count("\n") else ["?"] * len(speakers)
    pieces: list[_Piece] = []
    for text, speaker in zip(silent.split("\n"), speakers, strict=False):
        piece = piece_of(text, speaker, counts)
        before = pieces[-1] if pieces else None
        if before and not piece.begins and piece.speaker in ("?", before.speaker):
            pieces[-1] = before._replace(text=f"{before.text} {piece.text}".strip())
        else:
            pieces.append(piece)
    pieces = [piece for piece in pieces if piece.text]
    counts[SPOKEN if pieces else EMPTY if not whole.strip() else SOUND] += 1
    return pieces


def piece_of(text: str, speaker: str, counts: Counter[str]) -> _Piece:
    """One shown line: its dash and its label are taken off."""
    begins = speaker != "?"
    if dash := _DASH.match(text):
        counts["speaker dashes taken off"] += 1
        text, begins = text[dash.end() :], True
    if (label := _LABEL.match(text)) and label[1] == label[1].upper() != label[1].lower():
        counts["speaker labels taken off"] += 1
        text, begins, speaker = text[label.end() :], True, label[1]
    return _Piece(" ".join(text.split()), speaker, begins)


def add_piece(talk: Conversation, piece: _Piece, counts: Counter[str]) -> None:
    """Adds a turn, or makes it part of the one before: of the same named speaker, or of the same sentence."""
    before = talk[-1] if talk else None
    if before and piece.speaker != "?" and piece.speaker == before.speaker:
        counts["turns joined to the one before, of the same speaker"] += 1
    elif before and not piece.begins and carries_on(before.text, piece.text):
        counts["subtitles joined to the one before, whose sentence they carry on"] += 1
    else:
        talk.append(Line(piece.text, piece.speaker))
        return
    talk[-1] = before._replace(text=f"{before.text} {piece.text}")


def carries_on(before: str, text: str) -> bool:
    """Whether a text is of the sentence before it: that one is not finished, and this begins small or with dots."""
    if _FINISHED.search(before):
        return False
    begun = _BEGUN.match(text)
    return before.endswith(",") or bool(begun and (begun[1] or begun[0][-1].islower()))
