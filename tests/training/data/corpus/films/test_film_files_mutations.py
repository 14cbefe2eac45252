"""Every form of corpus damaged: one clear line or a reading, and each text of the file is read or what lost it counted.

Each line of dialogue holds a word that stands nowhere else, `word17`; those words are what is followed.
"""

import json
import os
import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, assemble
from training.data.corpus.films import cues
from training.data.corpus.films.film_reading import join_readings
from training.data.corpus.members import file_member
from training.data.corpus.text import decode_western
from training.recipe_source import Source

PROOF = bool(os.environ.get("REPARTEE_PROOF"))
CASES = 2_000 if PROOF else 60
TURNS = [f"This is word{n}{'?' if n % 2 else '.'}" for n in range(12)]
BLOCKS = "".join(f"{{}}00:00:{n:02}.000 --> 00:00:{n:02}.900\n{turn}\n\n" for n, turn in enumerate(TURNS))
IDS = "".join(f"en/1999/{n // 6}/1.xml.gz\tfr/1999/{n // 6}/2.xml.gz\t{n + 1}\t{n + 1}\n" for n in range(12))
SCENES = "Title: Dusk\n\nINT. ROOM\n\n" + "".join(
    f"{'ANNA' if n % 2 else 'BO'}\n(softly)\n{turn}\n\n" for n, turn in enumerate(TURNS)
)
PARAGRAPHS = "".join(
    f'<Paragraph Type="Character"><Text>{"ANNA" if n % 2 else "BO"}</Text></Paragraph>\n'
    f'<Paragraph Type="Dialogue"><Text>{turn}</Text></Paragraph>\n'
    for n, turn in enumerate(TURNS)
)
SENTENCES = "".join(
    f'<s id="{n}">\n<time id="T{n}S" value="00:00:{n:02},000" />\n{turn}\n</s>\n' for n, turn in enumerate(TURNS)
)
FORMS = {
    "a.srt": BLOCKS.replace("{}", "7\n"),
    "a.vtt": "WEBVTT\n\n" + BLOCKS.replace("{}", ""),
    "a.fountain": SCENES,
    "a.fdx": f"<?xml version='1.0'?>\n<FinalDraft>\n<Content>\n{PARAGRAPHS}</Content>\n</FinalDraft>\n",
    "a.xml": f"<?xml version='1.0'?>\n<document id='1'>\n{SENTENCES}</document>\n",
    "OpenSubtitles.en-fr.en": "\n".join(TURNS) + "\n",
    "dialogues_text.txt": "\n".join(f"{a} __eou__ {b} __eou__" for a, b in zip(TURNS[::2], TURNS[1::2], strict=True)),
    "a.json": json.dumps(
        {"yesands": {"a": [{"p": a, "r": b} for a, b in zip(TURNS[::2], TURNS[1::2], strict=True)]}}, indent=1
    ),
}
LOSSES = re.compile(
    "left out|taken out|outside any|behind the times|no subtitles|without dialogue|cannot be read|of sounds alone"
    "|screenplay: (?!dialogue)|title pages|passed over"
    "|no XML|without ids|without a line|read before|alone|without a list|notes and|too large|voice tags|no column"
    "|labels taken off|neither text nor message|is not read"
)
"""Counts of what may take a text with it."""


def flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content) + 1)]


def shuffled(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


def dropped(content: bytes, chance: random.Random) -> bytes:
    return b"\n".join(line for line in content.split(b"\n") if chance.random() > 0.1)


def noisy(content: bytes, chance: random.Random) -> bytes:
    start = content.find(b" ", chance.randrange(len(content))) + 1  # between words: "<i>" within one makes another
    marks = [
        "[",
        "(",
        "]",
        ")",
        "\u266a",
        "#",
        "*",
        "- ",
        "ANNA: ",
        "/*",
        "*/",
        "[[",
        "]]",
        "~",
        "<i>",
        "\n",
        "\0",
        "__eou__",
    ]
    return content[:start] + chance.choice(marks).encode() + content[start:]


def words(text: str) -> set[str]:
    return set(re.findall(r"\bword\d+\b", text.replace("__eou__", " "), re.ASCII))


def read_form(folder, name: str, content: bytes):
    (folder / name).write_bytes(content)
    if name.startswith("OpenSubtitles"):
        (folder / "OpenSubtitles.en-fr.ids").write_text(IDS)
        return read_whole(folder)
    return read_whole(folder / name)


def read_whole(path):
    """All readings of a path as one, before any rule is applied."""
    return join_readings(sources.readings_of(path, Source("x"), 0))


def read_or_refuse(read, path):
    """What is read, or None and the line that says why not; any other error is a failure."""
    try:
        with sources.errors_name(path):
            return read(), ""
    except CorpusError as error:
        return None, str(error)


def check(folder, name: str, content: bytes) -> None:
    reading, refusal = read_or_refuse(lambda: read_form(folder, name, content), folder / name)
    if reading is None:
        assert "\n" not in refusal
        return
    there, read = words(decode_western(content, reading.counts).text), words(" ".join(reading.raw_text))
    assert read <= there
    losses = {rule: count for rule, count in (+reading.counts).items() if LOSSES.search(rule)}
    assert there == read or losses, f"{there - read} lost without a count: {reading.counts}"
    if "subtitles" in reading.counts:
        fates = (cues.SOUND, cues.LYRICS, cues.CREDITS, cues.SPOKEN, cues.EMPTY)
        assert reading.counts["subtitles"] == sum(reading.counts[fate] for fate in fates)
    corpus, refusal = read_or_refuse(lambda: assemble(reading), folder / name)
    if corpus is None:
        assert "no conversation of two lines" in refusal
        assert "\n" not in refusal
        return
    fates = ("lines in conversations", "lines left alone by a gap", "lines in no conversation", "lines without text")
    assert corpus.counts["lines"] == sum(corpus.counts[fate] for fate in fates)


@pytest.mark.parametrize("name", FORMS)
def test_the_whole_form_is_read_whole(tmp_path, name):
    reading = read_form(tmp_path, name, FORMS[name].encode())
    assert reading.raw_text == TURNS
    assert sum(len(lines) for _, lines in reading.conversations) == 12


@pytest.mark.parametrize("name", FORMS)
@settings(
    max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=not PROOF
)
@given(
    mutations=st.lists(st.sampled_from((flipped, cut, shuffled, dropped, noisy)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_no_mutation_makes_a_traceback_or_loses_a_line_uncounted(tmp_path, name, mutations, seed):
    content, chance = FORMS[name].encode(), random.Random(seed)
    for mutation in mutations:
        content = mutation(content, chance) or b"\n"
    check(tmp_path, name, content)


@pytest.mark.parametrize("name", FORMS)
@settings(
    max_examples=CASES // 2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=not PROOF,
)
@given(content=st.binary(max_size=200))
def test_nor_do_any_bytes(tmp_path, name, content):
    check(tmp_path, name, content)


@settings(
    max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=not PROOF
)
@given(ids=st.lists(st.text("en/frxml.gz\t 0123456789", max_size=40)), lines=st.lists(st.text(max_size=20)))
def test_nor_do_any_ids(tmp_path, ids, lines):
    (tmp_path / "OpenSubtitles.en-fr.ids").write_text("\n".join(ids), "utf-8", newline="")
    (tmp_path / "OpenSubtitles.en-fr.en").write_text("\n".join(lines), "utf-8", errors="replace", newline="")
    counts = read_whole(tmp_path).counts
    read = counts["sentences in the source"] + counts["ids without a line of text"]
    assert read == file_lines(tmp_path / "OpenSubtitles.en-fr.ids")


def file_lines(path) -> int:
    content = file_member(path, path.name).read()
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
