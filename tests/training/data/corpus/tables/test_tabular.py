"""Tables of conversations, from a file or from the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, Film
from training.recipe_schema import Source

ROLES = (("system", "Be brief."), ("user", "a"), ("assistant", "b"))


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": role, "content": text} for role, text in ROLES]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"dialog": ["a", "b"]},
        {"dialogue": ["a", "b"], "other": 1},
    ],
)
def test_tables_of_conversations(tmp_path, row):
    rows = [{**row, "movie_title": "Dusk", "year": 2020, "genres": ["drama"]}] * 2
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows) + "{broken\n[1]\n")
    (tmp_path / "new.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "new.parquet")
    for suffix in ("jsonl", "json", "parquet"):
        read = sources.read(tmp_path / f"new.{suffix}")
        assert list(read.talks()) == [(Film(None, "Dusk", 2020, genres=("drama",)), ["a", "b"])] * 2
        assert read.counts["rows that cannot be read"] == (2 if suffix == "jsonl" else 0)


def test_rows_of_a_table_are_counted_or_read(tmp_path):
    rows = [
        {"dialog": ["a", "b"], "movie_id": 0},
        {"dialog": None, "messages": [{"content": "c"}, {"content": "\ud83d"}], "title": "\ud83d"},
        {"dialog": "no list"},
        {"dialog": ["d", "e"]},
        {"messages": [{"role": "system", "content": "s"}, {"content": "f"}, {"content": "g"}]},
    ]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = sources.read(tmp_path / "new.jsonl")
    assert spoken(read) == [["a", "b"], ["c", "\ufffd"], ["d", "e"], ["f", "g"]]
    assert [film.key for film, _ in read.talks()][:2] == ["0", "\ufffd"]
    assert read.counts["rows without a list of turns"] == 1
    assert read.counts["system messages left out"] == 1
    (tmp_path / "moved.jsonl").write_text(json.dumps({"dialog": ["x", "y"]}) + "\n" + json.dumps(rows[3]) + "\n")
    assert list(sources.read(tmp_path / "moved.jsonl").talks())[1] == list(read.talks())[2]


def test_a_hub_dataset_is_a_source(hub_url, tmp_path):
    from datasets import Dataset
    from huggingface_hub import HfApi

    Dataset.from_list([{"dialog": ["Who goes?", "A friend."]}] * 3).push_to_hub("corpora/talks")
    located = sources.locate(Source("corpora/talks"), tmp_path)
    assert located.name == "corpora/talks"
    assert located.input.revision == HfApi().dataset_info("corpora/talks").sha
    assert spoken(located.read()) == [["Who goes?", "A friend."]] * 3


def table(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_tool_turns_are_a_gap_and_system_turns_too(tmp_path):
    talk = [("human", "a"), ("gpt", "b"), ("function_call", "{}"), ("observation", "{}"), ("gpt", "c"), ("human", "d")]
    rows = [{"conversations": [{"from": who, "value": text} for who, text in talk]}]
    read = sources.read(table(tmp_path / "tools.jsonl", rows))
    assert spoken(read) == [["a", "b"], ["c", "d"]]
    assert read.counts["tool messages left out"] == 2
    assert read.counts["gaps: turns that are no dialogue"] == 1
    rows[0]["conversations"][2:4] = [{"from": "system", "name": "narrator", "value": "Night."}]
    read = sources.read(table(tmp_path / "system.jsonl", rows))
    assert spoken(read) == [["a", "b"], ["c", "d"]]
    assert read.counts["system messages left out"] == 1


def test_turns_of_one_speaker_in_a_row_are_one_turn(tmp_path):
    talk = [
        ("user", None, "a"),
        ("user", None, "b"),
        ("assistant", None, "c"),
        ("user", "ADA", "d"),
        ("user", "BO", "e"),
    ]
    rows = [{"messages": [{"role": role, "name": name, "content": text} for role, name, text in talk]}]
    read = sources.read(table(tmp_path / "new.jsonl", rows))
    assert spoken(read) == [["a b", "c", "d", "e"]]
    assert read.lines["line_id"].to_pylist() == ["0.0", "0.2", "0.3", "0.4"]
    assert read.counts["turns joined to the one before, of the same speaker"] == 1
    rows[0]["messages"][1]["content"] = None  # what the other answered is not there: no pair spans it
    assert spoken(sources.read(table(tmp_path / "empty.jsonl", rows))) == [["c", "d", "e"]]


def test_names_do_not_run_together_over_a_turn_without_one(tmp_path):
    talk = [("ADA", "a"), (None, "b"), ("BO", "c")]
    rows = [{"messages": [{"role": "user", "name": name, "content": text} for name, text in talk]}]
    assert spoken(sources.read(table(tmp_path / "new.jsonl", rows))) == [["a b", "c"]]


def test_turns_stored_by_column_and_parts_are_read_from_parquet(tmp_path):
    by_column = {"role": ["user", "assistant"], "content": ["a", "b"]}
    pq.write_table(pa.Table.from_pylist([{"messages": by_column}] * 2), tmp_path / "columns.parquet")
    assert spoken(sources.read(tmp_path / "columns.parquet")) == [["a", "b"]] * 2
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "a"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": parts[1:]}]
    pq.write_table(pa.Table.from_pylist([{"messages": messages}]), tmp_path / "parts.parquet")
    read = sources.read(tmp_path / "parts.parquet")
    assert spoken(read) == [["a", "a"]]
    assert read.counts["parts left out: image"] == 1


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({"prompt": "a", "response": "b"}, r"no column of conversations among prompt \(text\), response \(text\)"),
        ({"messages": "a: b"}, "the turns of a row are text"),
        ({"messages": {"role": ["user"], "content": ["a", "b"]}}, "the turns are an object with role"),
        (["a", "b"], r"a row is a list of 2 \(text first\)"),
        ({"messages": [{"role": "user", "parts": ["a"]}] * 2}, r"a list of 2, the first an object with role .*parts"),
        ({"messages": [{"type": "human", "data": {"content": "a"}}]}, r"object with type \(text\), data \(an object\)"),
        ({"messages": [["a"], ["b"]]}, r"a list of 2 \(a list of 1 \(text first\) first\)"),
    ],
)
def test_a_shape_that_is_not_read_is_named_beside_those_that_are(tmp_path, row, seen):
    with pytest.raises(CorpusError, match=seen) as caught:
        sources.read(table(tmp_path / "new.jsonl", [row] * 2))
    message = str(caught.value)
    assert "read are a list of texts, a list of messages" in message
    assert "messages or conversations" in message
    assert "right file" not in message
    assert "\n" not in message
    read = sources.read(table(tmp_path / "mixed.jsonl", [row, {"dialog": ["c", "d"]}]))
    assert spoken(read) == [["c", "d"]]
    assert sum(count for name, count in read.counts.items() if name.startswith(("rows", "gaps"))) >= 1


def test_rows_that_are_no_json_are_named(tmp_path):
    (tmp_path / "new.jsonl").write_text("prompt,reply\nWho?,Me.\n")
    with pytest.raises(CorpusError, match=r"rows that cannot be read: 2.*no JSON: a \.jsonl file has an object a line"):
        sources.read(tmp_path / "new.jsonl")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_a_table(tmp_path, encoding):
    rows = [{"dialog": ["caf\u00e9", "b"]}, {"dialog": ["c", "d"]}]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "new.jsonl").write_bytes(text.encode(encoding))
    read = sources.read(tmp_path / "new.jsonl")
    assert spoken(read) == [["caf\u00e9", "b"], ["c", "d"]][encoding == "cp1252" :]
    assert read.counts["rows that are no UTF-8"] == (encoding == "cp1252")
