"""Text as a source has it, and as it is trained on: one reading for every byte, and counted cleaning."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import TYPE_CHECKING

from hub.text_file import BYTES_AT_ONCE, SINGLE_BYTES, Decoded, decode_text, in_single_bytes

if TYPE_CHECKING:
    import pyarrow as pa

# cp1252 leaves five bytes undefined; ISO-8859-1 defines all 256, so each byte has exactly one reading.
_WESTERN = "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(256))
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,9}\s*/?>")
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_SPACED = r"^ | $|  |[\t-\r\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
"""For RE2: what `str.split` would fold, white space but single spaces within a text."""
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


def utf8_western(raw: bytes, counts: Counter[str]) -> tuple[bytes, str]:
    """The text of `decode_western` as UTF-8, and the file's encoding: for a file that is large and mostly ASCII."""
    if in_single_bytes(raw):
        blocks = (raw[start : start + BYTES_AT_ONCE] for start in range(0, len(raw), BYTES_AT_ONCE))
        return b"".join([block if block.isascii() else decode(block).encode() for block in blocks]), SINGLE_BYTES
    decoded = decode_western(raw, counts)
    return decoded.text.encode(), decoded.encoding


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


def string_column(texts: list[str] | pa.Array) -> pa.Array:
    """Texts as a column, whole; one that is a column already is as it is."""
    import pyarrow as pa

    return pa.array(whole_ones(texts), pa.string()) if isinstance(texts, list) else texts


def until_same(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    """Replaces until nothing is left to replace: taking one out may make another of what stood around it."""
    while (replaced := pattern.sub(replacement, text)) != text:
        text = replaced
    return text


def close_up(text: str) -> str:
    """Text of a tokenized corpus as it is written: no space before a mark or within `do n't` and `it ' s`."""
    return _APOSTROPHE.sub(r"\1", _APART.sub("", " ".join(text.split())))


def clean(texts: pa.Array, counts: Counter[str]) -> pa.Array:
    """Cleans lines of text and counts those that each rule touched.

    Markup (`<u>`, `</b>`) is taken out, control tokens (`<|im_end|>`) are spelled as words, white space is folded.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    touched = pc.match_substring_regex(texts, f"<|{_SPACED}")
    found = texts.filter(touched)
    marked = pc.match_substring(found, "<")
    unmarked = [without_markup(text, counts) for text in found.filter(marked).to_pylist()]
    found = pc.replace_with_mask(found, marked, pa.array(unmarked, pa.string()))
    folded = pc.binary_join(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(found)), " ")
    if spaced := pc.sum(pc.not_equal(found, folded)).as_py():
        counts["lines with white space folded"] += spaced
    return pc.replace_with_mask(texts, touched, folded)


def without_markup(text: str, counts: Counter[str]) -> str:
    """A line without markup and control tokens."""
    unmarked = until_same(_MARKUP, "", text)
    counts["lines with markup taken out"] += unmarked != text
    spelled = until_same(_CONTROL_TOKEN, r"\1", unmarked)
    counts["lines with control tokens spelled out"] += spelled != unmarked
    return spelled
