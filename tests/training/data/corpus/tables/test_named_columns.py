"""Tables whose columns the recipe names, from a file and from the Hub."""

import json

import pytest

from hub.errors import UserError
from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, Film
from training.recipe import build_section
from training.recipe_source import Source


def table(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def talks(path, **columns):
    corpus = sources.read(path, Source(str(path), columns=columns))
    return list(corpus.talks()), corpus.counts


def test_one_column_and_a_films(tmp_path):
    rows = [{"turns": ["a", "b"], "dialog": ["not", "this"], "name": "Dusk", "made": 1990, "kinds": ["noir"], "no": 7}]
    found, _ = talks(
        table(tmp_path / "t.jsonl", rows), messages="turns", film="name", year="made", genres="kinds", film_id="no"
    )
    assert found == [(Film("7", "Dusk", 1990, genres=("noir",)), ["a", "b"])]
    found, _ = talks(table(tmp_path / "t.jsonl", [{**rows[0], "title": "Other"}]), messages="turns", film="name")
    assert found == [(Film(None, "Dusk"), ["a", "b"])]  # what is not named is not read


def test_prompt_and_reply(tmp_path):
    rows = [
        {"ask": "a", "answer": "b"},
        {"ask": [{"role": "user", "content": "c"}], "answer": [{"role": "assistant", "content": "d"}]},
        {"ask": "e", "answer": None},
    ]
    found, counts = talks(table(tmp_path / "t.jsonl", rows), prompt="ask", reply="answer")
    assert [lines for _, lines in found] == [["a", "b"], ["c", "d"]]
    assert counts["rows without a list of turns"] == 1


def test_a_row_a_turn(tmp_path):
    rows = [
        {"of": 1, "who": "Anna", "said": "a", "film": "Dusk"},
        {"of": 1, "who": "Anna", "said": "b", "film": "Dusk"},
        {"of": 1, "who": "Bo", "said": "c", "film": "Dusk"},
        {"of": 2, "who": "Bo", "said": "d", "film": "Dawn"},
        {"of": 2, "who": "Cy", "said": "e", "film": "Dawn"},
        {"of": None, "who": "Cy", "said": "f", "film": "Dawn"},
        {"of": 1, "who": "Cy", "said": "g", "film": "Dusk"},
    ]
    path = table(tmp_path / "t.jsonl", rows)
    found, counts = talks(path, text="said", conversation="of", speaker="who", film="film")
    assert found == [(Film(None, "Dusk"), ["a b", "c"]), (Film(None, "Dawn"), ["d", "e"])]
    assert counts["rows without a conversation"] == 1
    assert counts["conversations whose rows stand apart, read as several"] == 1
    assert counts["lines left alone by a gap"] == 1


def test_a_column_that_is_not_there(tmp_path):
    path = table(tmp_path / "t.jsonl", [{"turns": ["a", "b"]}])
    with pytest.raises(
        CorpusError, match=r"columns.messages is talk, and there is none; its rows have turns"
    ) as caught:
        talks(path, messages="talk")
    assert str(path) in str(caught.value)
    path = table(tmp_path / "t.jsonl", [{"turns": ["a", "b"]}, {}, [1]])  # in a later row it is counted
    assert talks(path, messages="turns")[1]["rows without a list of turns"] == 1
    assert talks(path, messages="turns")[1]["rows that cannot be read"] == 1


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"turns": "x"}, "columns.turns is unknown; known here: messages"),
        ({"film": "x"}, "columns names no turns"),
        ({"prompt": "x"}, "columns names no turns"),
        ({"messages": "x", "prompt": "y", "reply": "z"}, "columns names no turns"),
        ({"messages": 3}, "columns.messages is 3; it takes the name of a column"),
        ("x", "it takes dict"),
    ],
)
def test_a_recipe_that_cannot_be(columns, says):
    with pytest.raises(UserError, match=says):
        build_section(Source, {"path": "a/b", "columns": columns}, "data.sources.")


def test_a_hub_dataset(hub_url, tmp_path):
    from datasets import Dataset

    rows = [{"ask": "Who goes?", "answer": "A friend.", "name": "Dusk"}] * 2
    Dataset.from_list(rows).push_to_hub("corpora/asked")
    columns = {"prompt": "ask", "reply": "answer", "film": "name"}
    located = sources.locate(Source("corpora/asked", columns=columns), tmp_path)
    assert list(located.read().talks()) == [(Film(None, "Dusk"), ["Who goes?", "A friend."])] * 2
    with pytest.raises(CorpusError, match=r"corpora/asked: columns.messages is talk"):
        sources.locate(Source("corpora/asked", columns={"messages": "talk"}), tmp_path).read()
