"""Text as a source has it, and as it is trained on: one reading for every byte, and counted cleaning."""

from __future__ import annotations

import codecs
import re
from collections import Counter

from hub.text_file import SINGLE_BYTES, Decoded, decode_text

# cp1252 leaves five bytes undefined; ISO-8859-1 defines all 256, so each byte has exactly one reading.
_WESTERN = "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(256))
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,9}\s*/?>")
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_CONTROL_TOKEN = re.compile(r"<\|(\w+)\|>")
_APART = re.compile(
    r" +(?=[.,!?;:%)\]\u2026\u2019]|n't\b|'(?:s|m|d|re|ve|ll)\b)|(?<=[(\[]) +"
    r"|(?<=\w) +(?=['\u2019] ?(?:s|t|m|d|re|ve|ll)\b)"
)
_APOSTROPHE = re.compile(r"(?<=\w)(['\u2019]) (?=(?:s|t|m|d|re|ve|ll)\b)")


def decode(raw: bytes) -> str:
    """Decodes single-byte Western text: cp1252 where it defines a byte, ISO-8859-1 where it does not."""
    return codecs.charmap_decode(raw, "strict", _WESTERN)[0]


def decode_western(raw: bytes, counts: Counter[str]) -> Decoded:
    """Decodes a file whose original is in single bytes, whatever it was saved again as, and counts what it was.

    A copy that was read as ISO-8859-1 and saved as UTF-8 has cp1252's quotes and dashes as control characters, U+0080
    to U+009F: they read as the original's bytes do.
    """
    decoded = decode_text(raw, decode)
    if decoded.marked:
        counts["byte order marks dropped"] += 1
    if decoded.encoding in (SINGLE_BYTES, "ascii"):
        return decoded
    counts[f"files read as {decoded.encoding}"] += 1
    if decoded.strays:
        counts[f"bytes that are no {decoded.encoding}, read as cp1252"] += decoded.strays
    text, repaired = _C1_CONTROLS.subn(lambda control: decode(control[0].encode("latin-1")), decoded.text)
    if repaired:
        counts["control characters read as cp1252"] += repaired
    return decoded._replace(text=text)


def whole(text: str) -> str:
    """Replaces lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def whole_ones(texts: list[str]) -> list[str]:
    """`whole` of many texts; those of nearly every corpus are whole as they are, which is quickly told."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [whole(text) for text in texts]
    return texts


def until_same(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    """Replaces until nothing is left to replace: taking one out may make another of what stood around it."""
    while (replaced := pattern.sub(replacement, text)) != text:
        text = replaced
    return text


def close_up(text: str) -> str:
    """Text of a tokenized corpus as it is written: no space before a mark or within `do n't` and `it ' s`."""
    return _APOSTROPHE.sub(r"\1", _APART.sub("", " ".join(text.split())))


def clean(lines: list[str], counts: Counter[str]) -> list[str]:
    """Cleans lines of text and counts those that each rule touched.

    Markup (`<u>`, `</b>`) is taken out, control tokens (`<|im_end|>`) are spelled as words, white space is folded.
    """
    cleaned = []
    for text in lines:
        if "<" in text:
            unmarked = until_same(_MARKUP, "", text)
            counts["lines with markup taken out"] += unmarked != text
            text = until_same(_CONTROL_TOKEN, r"\1", unmarked)
            counts["lines with control tokens spelled out"] += unmarked != text
        folded = " ".join(text.split())
        if folded != text:
            counts["lines with white space folded"] += 1
        cleaned.append(folded)
    return cleaned
