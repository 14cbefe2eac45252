"""Fountain: what each line is, by the syntax's rules. The scenes are invented."""

from collections import Counter

import pytest

from training.data.corpus.assemble import Film
from training.data.corpus.films.fountain import elements_of, plain, read_fountain, title_page

SCRIPT = """\
Title:
    The **Long** Pier
Author: Nobody

FADE IN:

INT. KITCHEN - NIGHT

Anna reads. [[too slow?]]

ANNA
(not looking up)
You are *late*.

BO (O.S.)
The boat
was late.

/* cut:

ANNA
Never said.
*/
@deAnna
Which boat?

BO ^
~La la

> CUT TO:

.A PIER

BO
Here.
{}
Still here.

ANNA
Good.
""".format("  ")


def read(text: str):
    counts = Counter()
    reading = read_fountain(text.encode(), Film("pier.fountain", "pier"), counts)
    talks = [[line if line < 0 else reading.raw_text[line] for line in own] for _, own in reading.conversations]
    return talks, reading


def test_a_script():
    talks, reading = read(SCRIPT)
    assert talks == [["You are late.", "The boat was late.", "Which boat?", -2], ["Here. Still here.", "Good."]]
    assert reading.films == [Film("pier.fountain", "The Long Pier")]
    assert [speaker.name for speaker in reading.speakers] == ["ANNA", "BO", "deAnna"]
    counts = reading.counts
    assert counts["lines of title pages"] == 3
    assert counts["notes and cut passages left out"] == 2
    kinds = {name.removeprefix("screenplay: "): n for name, n in counts.items() if name.startswith("screenplay: ")}
    assert kinds == {
        "scene heading": 2, "action": 3, "character": 6, "parenthetical": 1, "dialogue": 7, "lyrics": 1,
    }  # fmt: skip


def test_windows_line_ends_are_the_same():
    assert read(SCRIPT.replace("\n", "\r\n"))[0] == read(SCRIPT)[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int. kitchen", "scene heading"),
        ("INT./EXT. CAR", "scene heading"),
        ("I/E CAR", "scene heading"),
        ("INTERIOR", "action"),
        (".FLASHBACK", "scene heading"),
        ("...and then", "action"),
        ("!INT. NOT", "action"),
        ("CUT TO:", "action"),
        ("~La", "lyrics"),
        ("# Act", "action"),
    ],
)
def test_kinds(text, kind):
    assert [element.kind for element in elements_of(["", text, ""])] == [kind]


@pytest.mark.parametrize(
    ("line", "after", "is_one"),
    [("ANNA", "Hi.", True), ("ANNA", "", False), ("Anna", "Hi.", False), ("@Anna", "Hi.", True), ("R2D2", "Hi.", True),
     ("23", "Hi.", False), ("ANNA (on the phone)", "Hi.", True), ("ZO\u00cb", "Hi.", True), ("FADE TO:", "Hi.", False)],
)  # fmt: skip
def test_characters(line, after, is_one):
    assert ("character" in [element.kind for element in elements_of(["", line, after])]) == is_one


def test_title_pages():
    assert title_page(["Title: Dusk", "Author: A", "", "x"]) == ("Dusk", 2)
    assert title_page(["Author: A", ""]) == (None, 1)
    assert title_page(["FADE IN:", "", "INT. X"]) == (None, 0)
    assert title_page([""]) == (None, 0)


def test_marks_without_their_other_half_are_text():
    assert read("ANNA\nOne. /* two\n\nBO\n[[three *four\n")[0] == [["One. /* two", "[[three *four"]]
    assert plain(r"*a* _b_ ***c*** \*d\* 5 * 6 * 7") == "a b c *d* 5 * 6 * 7"


@pytest.mark.parametrize("text", ["/*" * 200_000, "[[" * 200_000, "*a" * 200_000, "A" * 400_000, "((" * 200_000])
def test_hostile_files_take_no_time(text):
    read(f"ANNA\n{text}\n")  # the limit of pytest-timeout stands for hours
