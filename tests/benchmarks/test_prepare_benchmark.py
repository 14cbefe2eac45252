"""The arithmetic of the benchmark, on the sample: what it measures is what it says."""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.prepare import corpus_share, make_dataset, slope, split_only
from benchmarks.prepare_scale import make, multiply
from training.data.corpus import cornell


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as file:
        for name in cornell.FILES:
            file.write(Path("training/sample") / name, f"corpus/{name}")
    return tmp_path / "sample.zip"


def test_parts_are_whole_films(archive, tmp_path):
    whole, half = corpus_share(archive, 1, tmp_path / "whole"), corpus_share(archive, 0.5, tmp_path / "half")
    assert len((half / cornell.TITLES_FILE).read_bytes().splitlines()) == 23
    rows = (half / cornell.LINES_FILE).read_bytes().splitlines()
    assert set(rows) < set((whole / cornell.LINES_FILE).read_bytes().splitlines())
    assert {row.split(b" +++$+++ ")[2] for row in rows} == {
        row.split(b" +++$+++ ")[0] for row in (half / cornell.TITLES_FILE).read_bytes().splitlines()
    }
    assert split_only(half) < split_only(whole)


def test_what_is_timed_is_the_whole_dataset(archive, tmp_path):
    made = make_dataset(corpus_share(archive, 1, tmp_path / "whole"), tmp_path)
    rows = {path.relative_to(made).as_posix(): len(pq.read_table(path)) for path in made.glob("*/*.parquet")}
    assert rows == {
        "pairs/train.parquet": 583,
        "pairs/validation.parquet": 124,
        "pairs/test.parquet": 248,
        "conversations/train.parquet": 222,
        "conversations/validation.parquet": 44,
        "conversations/test.parquet": 87,
        "dropped/train.parquet": 1,
    }


def test_a_multiplied_corpus_is_made_into_a_dataset(tmp_path):
    assert 3000 <= multiply(Path("training/sample"), 3000, tmp_path / "talks.jsonl") < 3020
    rows = [json.loads(row) for row in (tmp_path / "talks.jsonl").read_text().splitlines()]
    assert len({row["movie_title"] for row in rows}) > 90  # of 45 films
    made = make(tmp_path / "talks.jsonl", tmp_path)
    assert 1800 < made["pairs"] < 2200  # short pairs stand in several copies, and are kept once
    assert made["peak_gb"] < 20


def test_the_exponent_is_that_of_the_growth():
    sizes = [100, 200, 400, 800]
    assert slope(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
