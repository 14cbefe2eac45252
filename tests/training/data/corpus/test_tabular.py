"""Tables of conversations, from a file or from the Hub."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import Film
from training.recipe_schema import Source


def spoken(corpus) -> list[list[str]]:
    return [lines for _, lines in corpus.talks()]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "system", "content": "Be brief."}, *({"role": "user", "content": t} for t in "ab")]},
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
