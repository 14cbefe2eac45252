"""Parses subtitle files, SubRip (.srt) and WebVTT (.vtt), to the cues that they show.

Both are blocks between empty lines: a number or name, a line of times, and what is shown. What follows another way is
counted, not guessed at.

Source: WebVTT, https://www.w3.org/TR/webvtt1/; SubRip has no standard, and is read as its files are.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from hub.text_file import SINGLE_BYTES
from training.data.corpus.films.cues import Cue
from training.data.corpus.films.film_reading import Line
from training.data.corpus.text import decode_western

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_ARROW = "-->"
_NOTES = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)\b")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
_FORMAT = re.compile(r"</?[a-zA-Z0-9][^<>]*>|\{\\[^{}]*\}|\{[a-zA-Z]:[^{}]*\}")


def read_cues(raw: bytes, counts: Counter[str]) -> list[Cue]:
    """Cues of a subtitle file in the order of their times. Lines of the file that are none of a cue are counted."""
    decoded = decode_western(raw, counts)
    if decoded.encoding == SINGLE_BYTES:
        counts["files of single bytes, read as cp1252"] += 1
    vtt = decoded.text.startswith("WEBVTT")
    cues = [cue for block in blocks_of(decoded.text) for cue in cues_of(block, vtt, counts)]
    starts = [cue.start or 0.0 for cue in cues]
    late = sum(start < before for before, start in pairwise(starts))
    if late:
        counts["subtitles put in the order of their times"] += late
        cues.sort(key=lambda cue: cue.start or 0.0)
    return cues


def blocks_of(text: str) -> Iterator[list[str]]:
    """The lines between empty ones."""
    block: list[str] = []
    for line in text.splitlines():
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def cues_of(block: list[str], vtt: bool, counts: Counter[str]) -> Iterator[Cue]:
    """The cue of a block; several where the empty lines between them are missing."""
    if vtt and _NOTES.match(block[0]):
        counts["lines of notes and styles"] += len(block)
        return
    times = [place for place, line in enumerate(block) if _TIMES.match(line)]
    # before times there is a number; in WebVTT, before the first of a block, any name
    heads = [
        place - (place > 0 and (block[place - 1].strip().isdigit() or (vtt and place == times[0]))) for place in times
    ]
    if outside := block[: heads[0] if heads else len(block)]:
        counts["subtitles whose times cannot be read"] += sum(_ARROW in line for line in outside)
        counts["lines outside any subtitle"] += sum(_ARROW not in line for line in outside)
    for place, end in zip(times, [*heads[1:], len(block)], strict=False):
        found = _TIMES.match(block[place])
        assert found
        if any(":" not in word for word in block[place][found.end() :].split()):  # settings are `align:start`
            counts["texts behind the times of a subtitle, left out"] += 1
        start, until = seconds(found.groups()[:4]), seconds(found.groups()[4:])
        yield Cue(lines_shown("\n".join(block[place + 1 : end]), vtt, counts), start, until)


def seconds(parts: tuple[str | None, ...]) -> float:
    """Seconds of hours, minutes, seconds and their fraction, which is thousandths."""
    hours, minutes, whole, fraction = (int(part or 0) for part in parts)
    return 3600 * hours + 60 * minutes + whole + fraction / 1000


def lines_shown(text: str, vtt: bool, counts: Counter[str]) -> list[Line]:
    """Lines of a cue without formatting; WebVTT's voice tags (`<v Anna>`) name who speaks."""
    lines, speaker = [], "?"
    parts = _VOICE.split(text) if vtt else [text]
    for place, part in enumerate(parts):
        if place % 2:
            counts["voice tags read as speakers"] += 1
            speaker = " ".join(html.unescape(part).split())
            continue
        for line in part.split("\n"):
            plain = _FORMAT.sub("", line)
            counts["subtitle lines with formatting taken out"] += plain != line
            plain = html.unescape(plain) if vtt else plain
            if plain.strip():
                lines.append(Line(plain.strip(), speaker))
    return lines
