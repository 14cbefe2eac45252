"""How a text file is decoded, decided in one place for corpora, tables, recipes, votes and keys.

A byte order mark says what follows it: UTF-8, UTF-16 or UTF-32. Without one the file is UTF-8. A format whose original
is in single bytes says how one is read (`decode_text`, `single_bytes`), and is UTF-8 only where its bytes above 0x7f
are: in running text of single bytes they hardly ever are by chance (in the Cornell corpus none of 3,940).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hub.errors import UserError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SINGLE_BYTES = "single bytes"
MOSTLY = 10
"""Valid sequences for each stray byte in a file of a single-byte format that is taken for damaged UTF-8."""
BYTES_AT_ONCE = 1 << 16
"""Bytes that are looked at at once: what lies in a processor's cache."""

_STRAY = re.compile("[\udc80-\udcff]")  # a byte that is no UTF-8, as `surrogateescape` keeps it


class Decoded(NamedTuple):
    """Text of a file, and how it was decoded."""

    text: str
    encoding: str
    """`ascii`, `utf-8`, `utf-16-le` and its like, or `single bytes`."""
    marked: bool = False
    """Whether a byte order mark said so; it is no part of the text."""
    strays: int = 0
    """Bytes of a UTF-8 file that are none, read as single bytes."""


def mark_of(head: bytes) -> tuple[bytes, str]:
    """Byte order mark at the start of a file, empty where there is none, and the encoding that it says."""
    return next(((mark, encoding) for mark, encoding in MARKS if head.startswith(mark)), (b"", "utf-8"))


def decode_text(raw: bytes, single_bytes: Callable[[bytes], str] | None = None) -> Decoded:
    """Decodes the content of a text file.

    Args:
        raw: the bytes.
        single_bytes: how single bytes are read, where the format's original is in them. Nothing is refused then.

    Raises:
        UnicodeDecodeError: without `single_bytes`, where the bytes are not what the mark says, or no UTF-8.
    """
    mark, encoding = mark_of(raw)
    body, marked = raw[len(mark) :], bool(mark)
    if body.isascii() and encoding == "utf-8":
        return Decoded(body.decode("ascii"), "ascii", marked)
    if single_bytes and in_single_bytes(raw):
        return Decoded(single_bytes(raw), SINGLE_BYTES)
    try:
        return Decoded(body.decode(encoding), encoding, marked)
    except UnicodeDecodeError:
        if single_bytes is None:
            raise
        if encoding != "utf-8":
            return Decoded(body.decode(encoding, "replace"), encoding, marked)
    text = body.decode(encoding, "surrogateescape")
    strays = len(_STRAY.findall(text))
    text = _STRAY.sub(lambda stray: single_bytes(stray[0].encode("utf-8", "surrogateescape")), text)
    return Decoded(text, encoding, marked, strays)


def in_single_bytes(raw: bytes) -> bool:
    """Whether a file whose original is in single bytes still is: unmarked, and neither UTF-8 nor damaged UTF-8."""
    if mark_of(raw)[0]:
        return False
    high = runs_of_high_bytes(raw)
    try:
        high.decode()
        return False
    except UnicodeDecodeError as error:
        cut_off = error.reason == "unexpected end of data"
    text = high.decode("utf-8", "surrogateescape")
    strays = len(_STRAY.findall(text))
    valid = len(re.findall("[^\x00-\x7f]", text)) - strays
    return not (valid and (cut_off or valid >= MOSTLY * strays))


def runs_of_high_bytes(raw: bytes) -> bytes:
    """The runs of bytes above 0x7f, kept apart by a byte behind each: they are UTF-8 where the whole is."""
    import numpy as np

    runs = []
    for start in range(0, len(raw), BYTES_AT_ONCE):
        block = np.frombuffer(raw, np.uint8, min(BYTES_AT_ONCE, len(raw) - start), start)
        kept = block > 0x7F
        kept[1:] |= kept[:-1].copy()
        kept[0] = True
        runs.append(block[kept].tobytes())
    return b"".join(runs)


def text_lines(file: BinaryIO) -> Iterator[str]:
    """Yields the lines of a UTF-8 or marked text file, one after the other; bytes that are no UTF-8 as surrogates."""
    mark, encoding = mark_of(file.read(4))
    file.seek(len(mark))
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    yield from io.TextIOWrapper(file, encoding, errors=errors, newline="\n")


def read_text_file(path: Path) -> str:
    """Reads a text file that a person wrote or saved again.

    Raises:
        UserError: it cannot be read, or its encoding is not certain; the message names what was seen.
    """
    try:
        return decode_certain(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def decode_certain(raw: bytes, name: str) -> str:
    """Decodes text that is UTF-8 or marked. Raises UserError, with the name in it, where that is not certain."""
    cure = "save it again as UTF-8"
    try:
        text = decode_text(raw).text
    except UnicodeDecodeError as error:
        if mark_of(raw)[0]:
            raise UserError(f"{name} is marked as {error.encoding} and is none ({error.reason}); {cure}") from error
        line = raw.count(b"\n", 0, error.start) + 1
        place = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise UserError(f"{name} is no UTF-8 ({place}), perhaps Windows-1252 or binary; {cure}") from error
    if "\0" in text:
        raise UserError(f"{name} has zero bytes, as UTF-16 without a byte order mark or a binary file has; {cure}")
    return text
