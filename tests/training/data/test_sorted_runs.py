"""External sorting against the same in memory: every duplicate is found, whatever the ranges and the runs."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.sorted_runs import digests, digests_of_ranges, find_rows, firsts, found_rows, save_run
from training.data.splits import copy_order, cross_split_overlap, duplicates

said = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 2), st.booleans(), st.integers(0, 3)), max_size=60)


def runs_of(records, folder, runs):
    """Saves records (text, split, whether it is left out, film) as so many runs."""
    paths = []
    for place, rows in enumerate(np.array_split(np.arange(len(records)), runs)):
        own = [records[row] for row in rows]
        split, left_out, film = (np.array([one[field] for one in own], dtype=np.int64) for field in (1, 2, 3))
        paths.append(folder / f"run-{place}.npy")
        save_run(paths[-1], digests([one[0] for one in own]), rows, copy_order(split, 1 - left_out), film)
    return paths


def expected(records):
    """By other means: rows of each finder."""
    groups = defaultdict(list)
    for row, (text, split, left_out, film) in enumerate(records):
        groups[text].append((left_out, -split, row, film))
    first = {text: min(group) for text, group in groups.items()}
    again = [
        row for row, (text, split, _, film) in enumerate(records) if (film, -split) != (first[text][3], first[text][1])
    ]
    strictest = {text: max(-one[1] for one in group) for text, group in groups.items()}
    overlap = [row for row, (text, split, *_) in enumerate(records) if split < strictest[text]]
    return again, overlap, sorted(one[2] for one in first.values())


@settings(max_examples=30, deadline=None)
@given(said, st.integers(1, 5), st.integers(1, 30))
def test_what_is_found_is_what_is_found_in_memory(tmp_path_factory, records, runs, most):
    folder = tmp_path_factory.mktemp("runs")
    paths = runs_of(records, folder, runs)
    again, _, kept = expected(records)
    for name, finder, rows in (("again", duplicates, again), ("firsts", firsts, kept)):
        find_rows(paths, finder, folder / name, most)
        assert found_rows(folder / name, 0, len(records)).tolist() == rows
        middle = len(records) // 2
        assert found_rows(folder / name, middle, len(records)).tolist() == [row for row in rows if row >= middle]
    plain = [(text, split, False, film) for text, split, _, film in records]
    (folder / "plain").mkdir()
    find_rows(runs_of(plain, folder / "plain", runs), cross_split_overlap, folder / "overlap", most)
    assert found_rows(folder / "overlap", 0, len(records)).tolist() == expected(plain)[1]


def test_sequences_have_one_key_only_where_every_text_is_the_same():
    texts = pa.chunked_array([["a", "b", "ab", "", "a", "b"]])
    keys = digests_of_ranges(texts, np.array([0, 4, 2, 0, 1, 2]), np.array([1, 5, 2, 2, 2, 3]))
    each = [keys[place : place + 16] for place in range(0, len(keys), 16)]
    assert each[0] == each[1]
    assert len(set(each)) == 5
