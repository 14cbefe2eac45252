"""Subtitles to turns: every noise rule by hand, and what becomes of each subtitle counted."""

from collections import Counter

import pytest

from training.data.corpus.films import cues
from training.data.corpus.films.cues import Cue, conversations_of
from training.data.corpus.films.film_reading import Line

JOINED = "subtitles joined to the one before, whose sentence they carry on"


def shown(*texts: str, times: list[tuple[float, float]] | None = None) -> list[Cue]:
    """A subtitle for each text, a second after the one before where no times are given."""
    times = times or [(2.0 * place, 2.0 * place + 1) for place in range(len(texts))]
    return [
        Cue([Line(line) for line in text.split("\n")], *time) for text, time in zip(texts, times, strict=True) if text
    ]


def read(*texts: str, silence: float = 5.0, **more) -> tuple[list[list[str | None]], dict[str, int]]:
    counts = Counter()
    talks = conversations_of(shown(*texts, **more), silence, counts)
    fates = (cues.SOUND, cues.LYRICS, cues.CREDITS, cues.SPOKEN, cues.EMPTY)
    assert counts["subtitles"] == sum(counts[fate] for fate in fates)
    rules = {name: count for name, count in (+counts).items() if name not in ("subtitles", cues.SPOKEN)}
    return [[line and line.text for line in talk] for talk in talks], rules


@pytest.mark.parametrize(
    ("texts", "turns", "rules"),
    [
        (["Who is there?", "Only me."], ["Who is there?", "Only me."], {}),
        (["Who is\nthere?"], ["Who is there?"], {}),
        (["- Who is there?\n- Only me."], ["Who is there?", "Only me."], {"speaker dashes taken off": 2}),
        (["Who is there?\n\u2013 Only me."], ["Who is there?", "Only me."], {"speaker dashes taken off": 1}),
        (["-5 degrees.", "-- and falling."], ["-5 degrees.", "-- and falling."], {}),
        (["[door slams]\nGo!"], ["Go!"], {"sound descriptions taken out": 1}),
        (["(sighs) Go (coughs) now!"], ["Go now!"], {"sound descriptions taken out": 2}),
        (["*laughs* 5 * 3"], ["5 * 3"], {"sound descriptions taken out": 1}),
        (["[a long\nwind]", "Go!"], ["Go!"], {"sound descriptions taken out": 1, cues.SOUND: 1}),
        (["- [knocking]\n- Go!"], ["Go!"], {"sound descriptions taken out": 1, "speaker dashes taken off": 2}),
        (["Go [and\nstay."], ["Go [and stay."], {}),
        (["Hm.", "\u266a La la la", "Go!"], ["Hm.", None, "Go!"], {cues.LYRICS: 1}),
        (["Hm.", "# La la la #", "We are #1."], ["Hm.", None, "We are #1."], {cues.LYRICS: 1}),
        (["Subtitles by Anna", "Hm."], [None, "Hm."], {cues.CREDITS: 1}),
        (["Hm.", "Synced and corrected by bo"], ["Hm.", None], {cues.CREDITS: 1}),
        (["www.example.org", "See http://example.org", "We sync."], [None, None, "We sync."], {cues.CREDITS: 2}),
        (["ANNA: Go.\nBO: No."], ["Go.", "No."], {"speaker labels taken off": 2}),
        (["DR. NO:\nGo."], ["Go."], {"speaker labels taken off": 1}),
        (["He said: go. 10:30 is late."], ["He said: go. 10:30 is late."], {}),
        (["I wanted to", "go home."], ["I wanted to go home."], {JOINED: 1}),
        (["I wait...", "...for you."], ["I wait... ...for you."], {JOINED: 1}),
        (["In Rome,", "Bo waits."], ["In Rome, Bo waits."], {JOINED: 1}),
        (["Stop--", "No!"], ["Stop--", "No!"], {}),
        (["Go home.", "yes"], ["Go home.", "yes"], {}),
        (["\u4f60\u597d", "\u518d\u89c1"], ["\u4f60\u597d", "\u518d\u89c1"], {}),  # without capitals nothing is joined
    ],
)  # fmt: skip
def test_rules(texts, turns, rules):
    assert read(*texts) == ([turns], rules)


def test_a_silence_ends_a_conversation_and_a_sentence():
    times = [(0, 1), (5.9, 7), (12.1, 13), (13, 14)]
    talks, rules = read("One.", "Two and", "three.", "Four.", times=times)
    assert talks == [["One.", "Two and"], ["three.", "Four."]]
    assert rules == {"conversations ended by a silence": 1}
    assert read("One.", "Two and", "three.", "Four.", times=times, silence=6)[0] == [
        ["One.", "Two and three.", "Four."]
    ]


def test_a_silence_is_one_of_speech():
    talks, _ = read("One.", "[wind]", "Two.", times=[(0, 1), (4, 5), (8, 9)])
    assert talks == [["One."], ["Two."]]


def test_a_missing_line_ends_a_conversation():
    counts = Counter()
    cues = [Cue([Line("One.")]), Cue([Line("Two.")]), Cue([Line("Three.")], after_gap=True)]
    talks = conversations_of(cues, 5, counts)
    assert [[line.text for line in talk] for talk in talks] == [["One.", "Two."], ["Three."]]
    assert counts["conversations ended by a missing line"] == 1


def test_rolling_captions_are_read_once():
    times = [(0, 2), (2, 4), (4, 6), (9, 10)]
    texts = ("So we went out", "So we went out\nto see the boat.", "to see the boat.\nIt was gone.", "It was gone.")
    talks, rules = read(*texts, times=times)
    assert talks == [
        ["So we went out to see the boat.", "It was gone.", "It was gone."]
    ]  # again after a pause: said again
    assert rules["lines shown again, taken out"] == 2
    assert read("Go now!", "Go now!", times=[(0, 1), (1, 2)])[0] == [["Go now!", "Go now!"]]


def test_a_named_speaker_is_one_turn():
    counts = Counter()
    cues = [
        Cue([Line("One.", "Anna")]),
        Cue([Line("Two.", "Anna")]),
        Cue([Line("Three.", "Bo"), Line("Four.", "Anna")]),
    ]
    assert conversations_of(cues, 5, counts) == [
        [Line("One. Two.", "Anna"), Line("Three.", "Bo"), Line("Four.", "Anna")]
    ]
    assert counts["turns joined to the one before, of the same speaker"] == 1
