"""Chat rows of any shape, by hypothesis: never a traceback, never a wrong pair, every row and turn read or counted."""

import json
import os
from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.corpus.assemble import CorpusError, WeightedCorpus, assemble
from training.data.corpus.tables import tabular
from training.data.pairs import build_tables
from training.recipe_schema import Data

CASES = 4_000 if os.environ.get("REPARTEE_PROOF") else 100
PEOPLE = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "ADA": "ada"}
OTHERS = ("system", "developer", "tool", "function_call", "observation", "function", "plugin", "functions.look")
roles = st.sampled_from([*PEOPLE, *OTHERS])
ODD = (
    None,
    True,
    7,
    -0.5,
    10**30,
    "",
    "text",
    "\ud83d",
    "a\n|b",
    [],
    {},
    [None],
    ["a", 2],
    {"a": []},
    {"type": "text"},
)
odd = st.sampled_from(ODD)
junk = (
    odd
    | st.lists(odd, max_size=2)
    | st.dictionaries(st.sampled_from(["role", "content", "dialogues"]), odd, max_size=2)
)
words = st.sampled_from(["word", None, "", " ", "parts", "part columns", "thinking"])
turns = st.lists(st.tuples(roles, st.sampled_from([None, "BO", "CY"]), words), max_size=9)
shapes = st.sampled_from(["messages", "sharegpt", "columns"])


def content(word, place: int):
    """Content of a turn; its text, where it has one, is the number of the turn."""
    return {
        "word": str(place),
        "thinking": f"<think>It was {place - 1}.</think>\n{place}",
        "parts": [{"type": "image"}, {"type": "text", "text": str(place)}],
        "part columns": {"type": ["text", "image"], "text": [str(place), None]},
    }.get(word, word)


def row_of(shape: str, said: list, first: int) -> dict:
    role, text = ("from", "value") if shape == "sharegpt" else ("role", "content")
    messages = [
        {role: who, "name": name, text: content(word, first + place)} for place, (who, name, word) in enumerate(said)
    ]
    if shape == "columns":
        return {"messages": {key: [message[key] for message in messages] for key in (role, "name", text)}}
    return {"conversations": messages} if shape == "sharegpt" else {"messages": messages}


def pairs_told(said: list, first: int) -> list[tuple[str, str]]:
    """The pairs that a row holds, by other means: its stretches of dialogue, each cut where the speaker changes."""
    stretches: list[list[tuple[str, list[str], str]]] = [[]]
    for place, (who, name, word) in enumerate(said):
        if who in OTHERS or word in (None, "", " "):
            stretches.append([])
            continue
        stretch, role = stretches[-1], PEOPLE[who]
        known = {one for one in (name, stretch[-1][2] if stretch else None) if one}
        if stretch and stretch[-1][0] == role and len(known) < 2:
            stretch[-1] = (role, [*stretch[-1][1], str(first + place)], name or stretch[-1][2])
        else:
            stretch.append((role, [str(first + place)], name))
    joined = [[" ".join(numbers) for _, numbers, _ in stretch] for stretch in stretches]
    return [pair for stretch in joined for pair in pairwise(stretch)]


def rows_counted(counts: Counter) -> int:
    """Rows that were read as conversations, or counted as what they are."""
    unread = (
        "rows that cannot be read",
        "rows without a list of turns",
        "rows whose columns of turns differ in length",
    )
    return counts["conversations in the source"] + sum(counts[reason] for reason in unread)


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(st.lists(st.tuples(shapes, turns) | junk, max_size=5), st.lists(st.integers(0, 4), max_size=3))
def test_no_row_makes_a_traceback_or_a_wrong_pair(rows, repeated):
    given_rows, expected, dialogue = [], [], 0
    places = [*range(len(rows)), *(place for place in repeated if place < len(rows))]
    rows = [rows[place] for place in places]
    for place, row in zip(places, rows, strict=True):
        if isinstance(row, tuple):
            shape, said = row
            given_rows.append(row_of(shape, said, 100 * place))
            expected += pairs_told(said, 100 * place)
            dialogue += sum(who not in OTHERS for who, _, _ in said)
        else:
            given_rows.append(row)
    reading = tabular.read(given_rows, counts := Counter())
    assert rows_counted(counts) == len(rows)
    joined = counts["turns joined to the one before, of the same speaker"]
    assert len(reading.raw_text) + joined == dialogue
    left_out = counts["system messages left out"] + counts["tool messages left out"]
    assert left_out == sum(len(row[1]) for row in rows if isinstance(row, tuple)) - dialogue
    try:
        corpus = assemble(reading)
    except CorpusError as error:
        refusal = str(error)
        assert expected == []
        assert "\n" not in refusal
        assert "is it the right file" not in refusal
        return
    tables, _ = build_tables([WeightedCorpus("rows", 1, corpus)], Data(drop_duplicates=False))
    found = [row for table in tables["pairs"].values() for row in table.to_pylist()]
    assert sorted((row["prompt"][1]["content"], row["completion"][0]["content"]) for row in found) == sorted(expected)


KEYS = ["role", "from", "name", "content", "value", "type", "tool_calls"]
junk_messages = st.lists(st.dictionaries(st.sampled_from(KEYS), junk, max_size=3) | odd, max_size=4)
columns = {"messages": junk_messages | junk, "title": odd, "genres": odd, "year": odd}


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(st.lists(st.fixed_dictionaries(columns), max_size=3))
def test_no_value_in_a_row_makes_a_traceback(rows):
    counts = Counter()
    reading = tabular.read(json.loads(json.dumps(rows)), counts)
    assert rows_counted(counts) == len(rows)
    assert sum(map(len, (lines for _, lines in reading.conversations))) >= len(reading.raw_text)
    try:
        assemble(reading)
    except CorpusError as error:
        refusal = str(error)
        assert "\n" not in refusal
        assert refusal.startswith("no conversation of two lines could be read")
