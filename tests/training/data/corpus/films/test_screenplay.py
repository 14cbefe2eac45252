"""Rules of screenplays, whichever file they stand in."""

from collections import Counter

import pytest

from training.data.corpus.assemble import LEFT_OUT, Film
from training.data.corpus.films.screenplay import Element, name_of, read_elements


def read(*elements: tuple[str, str]):
    counts = Counter()
    reading = read_elements([Element(*element) for element in elements], Film("dusk"), counts)
    talks = [
        [
            (reading.speakers[reading.speaker_of[line]].name, reading.raw_text[line]) if line >= 0 else None
            for line in own
        ]
        for _, own in reading.conversations
    ]
    return talks, reading


def test_turns_and_scenes():
    talks, reading = read(
        ("scene heading", "INT. PIER"),
        ("character", "ANNA"),
        ("dialogue", "Wait."),
        ("parenthetical", "(beat)"),
        ("dialogue", "Please (softly) stay."),
        ("action", "Rain."),
        ("character", "ANNA (CONT'D)"),
        ("dialogue", "Or go."),
        ("character", "BO"),
        ("dialogue", "(shrugs)"),
        ("dialogue", "I stay."),
        ("scene heading", "EXT. SEA"),
        ("character", "BO"),
        ("dialogue", "Cold."),
    )
    assert talks == [[("ANNA", "Wait. Please stay. Or go."), ("BO", "I stay.")], [("BO", "Cold.")]]
    assert +reading.counts == {
        "screenplay: scene heading": 2,
        "screenplay: character": 4,
        "screenplay: dialogue": 6,
        "screenplay: parenthetical": 1,
        "screenplay: action": 1,
        "parentheticals within a line, taken out": 2,
        "lines of parentheticals alone": 1,
        "turns joined to the one before, of the same speaker": 2,
        "conversations in the source": 2,
    }


def test_lyrics_are_a_gap():
    _, reading = read(
        ("character", "ANNA"), ("dialogue", "One."), ("lyrics", "La"), ("character", "BO"), ("dialogue", "Two.")
    )
    assert reading.conversations == [(0, [0, LEFT_OUT, 1])]


def test_lines_without_a_character_are_not_one_speaker():
    talks, _ = read(("dialogue", "One."), ("dialogue", "Two."))
    assert talks == [[("?", "One."), ("?", "Two.")]]
    assert read(("action", "Rain."))[1].unread == "dusk has no dialogue under the names of characters"


@pytest.mark.parametrize(
    ("cue", "name"),
    [
        ("ANNA", "ANNA"),
        (" ANNA  LEE (V.O.) (CONT'D) ", "ANNA LEE"),
        ("BO ^", "BO"),
        ("(V.O.)", "?"),
        ("ANNA (30s) LEE", "ANNA (30s) LEE"),
    ],
)
def test_names(cue, name):
    assert name_of(cue) == name
