"""SubRip and WebVTT files of our own writing, whole and damaged."""

from collections import Counter

import pytest

from training.data.corpus.films.cues import Cue
from training.data.corpus.films.film_reading import Line
from training.data.corpus.films.subtitle_files import read_cues, seconds

SRT = """\
1
00:00:01,000 --> 00:00:02,500
<i>Who</i> is <font color="#ff0000">there</font>?

2
00:00:03,000 --> 00:00:04,000 X1:100
{\\an8}Only me.
Open up.
"""


def read(text: str | bytes) -> tuple[list[Cue], dict[str, int]]:
    counts = Counter()
    found = read_cues(text.encode() if isinstance(text, str) else text, counts)
    return found, dict(+counts)


def test_subrip():
    found, counts = read(SRT)
    assert found == [
        Cue([Line("Who is there?")], 1.0, 2.5),
        Cue([Line("Only me."), Line("Open up.")], 3.0, 4.0),
    ]
    assert counts == {"subtitle lines with formatting taken out": 2}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_and_line_ends(encoding):
    found, counts = read(SRT.replace("there", "there, Zo\u00eb").replace("\n", "\r\n").encode(encoding))
    assert found[0].lines == [Line("Who is there, Zo\u00eb?")]
    assert ("files of single bytes, read as cp1252" in counts) == (encoding == "cp1252")


def test_missing_empty_lines_and_numbers():
    text = "00:00:01,0 --> 00:00:02,0\nOne.\n2\n00:00:03,0 --> 00:00:04,0\n1984\n00:00:05.000 --> 00:00:06.000\nSix.\n"
    found, _ = read(text)
    assert [[line.text for line in cue.lines] for cue in found] == [["One."], [], ["Six."]]  # a number goes with times
    found, _ = read(text.replace("1984\n", "1984!\n"))
    assert [line.text for line in found[1].lines] == ["1984!"]


def test_what_is_no_subtitle_is_counted():
    text = (
        "Made by hand\n\n1\n00:00:0x,000 --> 00:00:02,000\nLost.\n\n2\n00:00:03,000 --> 00:00:04,000\nFound.\n\nOh.\n"
    )
    found, counts = read(text)
    assert found == [Cue([Line("Found.")], 3.0, 4.0)]
    assert counts == {"subtitles whose times cannot be read": 1, "lines outside any subtitle": 4}


def test_order_of_time():
    first, second = SRT.split("\n\n")
    found, counts = read(f"{second}\n\n{first}")
    assert [cue.start for cue in found] == [1.0, 3.0]
    assert counts["subtitles put in the order of their times"] == 1


def test_webvtt():
    text = """\
WEBVTT - Dusk
Kind: captions

STYLE
::cue { color: red }

NOTE a note
of two lines

intro
00:01.000 --> 00:02.000 align:start
<v Anna>Tea &amp; <c.yellow>cake</c>?</v>
<v.loud Bo>No!

01:00:03.000 --> 01:00:04.000
<00:00:03.500>Then none.
"""
    found, counts = read(text)
    assert found == [
        Cue([Line("Tea & cake?", "Anna"), Line("No!", "Bo")], 1.0, 2.0),
        Cue([Line("Then none.")], 3603.0, 3604.0),
    ]
    assert counts == {
        "lines of notes and styles": 6,
        "voice tags read as speakers": 2,
        "subtitle lines with formatting taken out": 2,
    }


def test_text_behind_the_times_is_counted():
    found, counts = read("1\n00:00:01,000 --> 00:00:02,000 Lost\nFound.\n")
    assert found[0].lines == [Line("Found.")]
    assert counts == {"texts behind the times of a subtitle, left out": 1}


def test_seconds():
    assert seconds(("01", "02", "03", "456")) == pytest.approx(3723.456)
    assert seconds((None, "02", "03", "5")) == pytest.approx(123.005)
