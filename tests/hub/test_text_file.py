"""Decoding: marks are believed, valid UTF-8 is UTF-8, what is neither is single bytes or one clear line."""

import codecs
import io

import pytest

from hub.errors import UserError
from hub.text_file import Decoded, decode_text, read_text_file, text_lines

TEXT = "caf\u00e9 \u201clate\u201d\n"


def western(raw: bytes) -> str:
    return raw.decode("cp1252")


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"plain\n", Decoded("plain\n", "ascii")),
        (TEXT.encode(), Decoded(TEXT, "utf-8")),
        (codecs.BOM_UTF8 + TEXT.encode(), Decoded(TEXT, "utf-8", True)),
        (codecs.BOM_UTF8 + b"plain", Decoded("plain", "ascii", True)),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), Decoded(TEXT, "utf-16-le", True)),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), Decoded(TEXT, "utf-16-be", True)),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), Decoded(TEXT, "utf-32-le", True)),
        (TEXT.encode("cp1252"), Decoded(TEXT, "single bytes")),
        (b"caf\xe9", Decoded("caf\u00e9", "single bytes")),  # the start of a sequence of UTF-8, and its end
        (b"caf\xe9 and \xc3\xa9", Decoded("caf\u00e9 and \u00c3\u00a9", "single bytes")),
        (TEXT.encode() + b"caf\xc3", Decoded(TEXT + "caf\u00c3", "utf-8", False, 1)),  # cut off within a character
        (TEXT.encode() * 10 + b"\xe9!", Decoded(TEXT * 10 + "\u00e9!", "utf-8", False, 1)),
        (codecs.BOM_UTF8 + b"\xe9!", Decoded("\u00e9!", "utf-8", True, 1)),
        (codecs.BOM_UTF16_LE + b"a\0b", Decoded("a\ufffd", "utf-16-le", True)),
    ],
)
def test_a_format_of_single_bytes_is_read_whatever_it_was_saved_as(raw, found):
    assert decode_text(raw, western) == found


@pytest.mark.parametrize("raw", [b"caf\xe9", TEXT.encode() * 10 + b"\xe9!", codecs.BOM_UTF16_LE + b"a\0b"])
def test_a_format_of_utf8_takes_nothing_else(raw):
    with pytest.raises(UnicodeDecodeError):
        decode_text(raw)
    assert decode_text(TEXT.encode()) == Decoded(TEXT, "utf-8")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"a\nb\ncaf\xe9", r"0xe9 in line 3.*Windows-1252"),
        (codecs.BOM_UTF16_LE + b"a\0b", "utf-16-le"),
        ("a,b\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ],
)
def test_an_encoding_that_is_not_certain_is_one_line_that_names_it(tmp_path, raw, says):
    path = tmp_path / "file.csv"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=says) as caught:
        read_text_file(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_text_file(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_lines_of_every_encoding(tmp_path, encoding):
    text = "one\u2028still one\r\ntw\u00f6\n\nend"
    assert list(text_lines(io.BytesIO(text.encode(encoding)))) == ["one\u2028still one\r\n", "tw\u00f6\n", "\n", "end"]
    (tmp_path / "file").write_bytes(text.encode(encoding))
    assert read_text_file(tmp_path / "file") == text
    assert list(text_lines(io.BytesIO(b"a\n\xe9\n"))) == ["a\n", "\udce9\n"]
