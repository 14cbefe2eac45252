"""The arithmetic of the benchmark, on the sample: what it measures is what it says."""

import zipfile
from pathlib import Path

import pytest

from benchmarks.prepare import corpus_share, make_dataset, slope, split_only
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
    assert {config: sum(map(len, splits.values())) for config, splits in made.items()} == {
        "pairs": 955,
        "conversations": 353,
        "dropped": 1,
    }
    assert sorted(path.name for path in (tmp_path / "parquet" / "pairs").iterdir()) == [
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]


def test_the_exponent_is_that_of_the_growth():
    sizes = [100, 200, 400, 800]
    assert slope(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
