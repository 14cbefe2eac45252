"""Batches, parts and shards: the size of what is in memory changes nothing in what is made."""

import json
from pathlib import Path

import pytest
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.parquet import shard_paths
from training.data import pairs, prepare
from training.data.batches import resumable_parts
from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError, WeightedCorpus
from training.data.corpus.parts import joined, parts
from training.data.corpus.tables import tabular
from training.data.pairs import Sizes, build_tables
from training.recipe_schema import Data, Source

SAMPLE = Path("training/sample")
SMALL = Sizes(batch_lines=150, shard_rows=80, range_records=200)


@pytest.fixture(scope="module")
def sample():
    return sources.read(SAMPLE)


@pytest.mark.parametrize(("split_by", "context_turns"), [("film", 1), ("conversation", 3), ("pair", 2)])
def test_rows_are_the_same_whatever_the_size_of_a_batch(sample, split_by, context_turns):
    corpora = [WeightedCorpus("one", 0.5, sample), WeightedCorpus("two", 2.5, sample)]
    data = Data(split_by=split_by, context_turns=context_turns, max_prompt_characters=60)
    (usual, dropped), (small, dropped_too) = (build_tables(corpora, data, sizes) for sizes in (pairs.SIZES, SMALL))
    assert small.keys() == usual.keys() >= {"pairs", "conversations", "dropped"}
    assert dropped_too == dropped
    for config, splits in usual.items():
        for split, table in splits.items():
            assert small[config][split].combine_chunks().equals(table.combine_chunks())


def test_parts_are_whole_conversations_and_join_to_what_they_were(sample):
    pieces = list(parts(sample, 40))
    assert len(pieces) > 20
    assert all(2 <= piece.starts[-1] < 40 + 12 for piece in pieces)
    again = joined(pieces)
    assert list(again.talks()) == list(sample.talks())
    assert again.counts == sample.counts
    assert again.lines == sample.lines


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "LINES_AT_ONCE", 10)
    rows = [{"dialog": [f"{row}.{line}" for line in range(row % 5)], "title": f"t{row % 7}"} for row in range(100)]
    text = "".join("{broken\n" * (row % 10 == 0) + json.dumps(one) + "\n" for row, one in enumerate(rows))
    (tmp_path / "talks.jsonl").write_text(text + "{broken\n")
    return tmp_path / "talks.jsonl"


def test_a_table_is_read_in_batches_and_on_from_any_of_them(table):
    whole = list(sources.read_batches(table))
    assert len(whole) > 15
    counts = joined(whole).counts
    assert (counts["conversations in the source"], counts["rows that cannot be read"], counts["films"]) == (100, 11, 7)
    for place, corpus in enumerate(whole[:-1]):
        rest = list(sources.read_batches(table, first=corpus.rows))
        assert [list(one.talks()) for one in rest] == [list(one.talks()) for one in whole[place + 1 :]]
        assert [one.counts for one in rest] == [one.counts for one in whole[place + 1 :]]
        assert [one.lines for one in rest] == [one.lines for one in whole[place + 1 :]]


def test_a_table_without_a_conversation_is_refused_at_its_end(table):
    table.write_text('{"dialog": ["alone"]}\n' * 50)
    with pytest.raises(CorpusError, match="lines left alone by a gap: 50"):
        list(sources.read_batches(table))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12), st.booleans(), st.data())
@settings(max_examples=25, deadline=None)
def test_reading_goes_on_behind_any_part(sample, sizes, most_lines, by_rows, data):
    pieces, corpora = list(parts(sample, 8)), []
    for place, size in enumerate(sizes):
        corpus = joined(pieces[10 * place : 10 * place + size])
        corpus.rows = 5 * (place + 1) if by_rows else 0
        corpora.append(corpus)

    def read(row, skipped):
        left = [corpus for corpus in corpora if corpus.rows > row or not by_rows]
        return [(list(part.talks()), resume) for part, resume in resumable_parts(left, row, skipped, most_lines)]

    whole = read(0, 0)
    place = data.draw(st.integers(0, len(whole) - 1))
    assert read(*whole[place][1]) == whole[place + 1 :]


def test_shards_have_the_hubs_names_and_load_as_a_stream(tmp_path):
    data = Data(sources=[Source("training/sample")])
    files, _ = prepare.dataset_files(data, prepare.located(data, tmp_path), "films/dialogue", tmp_path / "made", SMALL)
    assert shard_paths("pairs", "train", 8) == sorted(path for path in files if path.startswith("pairs/train"))
    assert "dropped/train.parquet" in files
    (tmp_path / "made" / "README.md").write_bytes(files["README.md"])
    for config in ("pairs", "conversations"):
        streamed = load_dataset(str(tmp_path / "made"), config, split="train", streaming=True)
        usual = build_tables([WeightedCorpus("sample", 1, sources.read(SAMPLE))], data)[0][config]["train"]
        assert list(streamed) == usual.to_pylist()
    assert b"pairs/test-00000-of-00004.parquet" in files["README.md"]
