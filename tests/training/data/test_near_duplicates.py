"""Near-duplicates: similarities against sets in plain Python, MinHash's probability, and what leaves the dataset."""

import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.data.test_pairs import corpus, in_split, texts
from training.data.corpus.assemble import WeightedCorpus
from training.data.minhash import BAND_ROWS, BANDS, Shingles, band_keys, jaccard, shingles
from training.data.pairs import Sizes, build_tables
from training.data.splits import NEAR_DUPLICATE, RULES
from training.data.windows import Windows
from training.recipe_schema import Data

said = st.lists(st.text("ab '.,Ä", max_size=12), min_size=4, max_size=4)


def of_lines(lines):
    """Shingles of the pairs (0, 1) and (2, 3) of lines."""
    return shingles(pa.chunked_array([lines]), Windows(np.array([0, 2]), np.array([1, 3]), np.array([0, 1])))


def in_python(lines):
    """The same by other means: a set of tuples of words for each pair."""
    pairs = [re.findall(r"[^\W_]+", " ".join(two).lower()) for two in (lines[:2], lines[2:])]
    return [
        {tuple(words[place : place + 3]) for place in range(max(len(words) - 2, len(words) > 0))} for words in pairs
    ]


def part(own, place):
    return Shingles(own.values, own.first[place : place + 1], own.end[place : place + 1])


@settings(deadline=None)
@given(said)
def test_similarity_is_that_of_sets_of_words(lines):
    own, (one, other) = of_lines(lines), in_python(lines)
    assert jaccard(part(own, 0), part(own, 1)).tolist() == [len(one & other) / max(1, len(one | other))]


def test_alike_sets_have_a_key_in_common_as_often_as_they_should():
    rng, trials = np.random.default_rng(1), 1_000
    for both, each in ((16, 2), (12, 2), (8, 4)):  # of 20, 16 and 16
        values = rng.integers(2**64, size=(trials, both + 2 * each), dtype=np.uint64)
        sides = values[:, : both + each], values[:, each:]
        keys = []
        for side in sides:
            first = np.arange(trials) * side.shape[1]
            own = Shingles(side.ravel(), first, first + side.shape[1])
            keys.append([np.frombuffer(band, dtype=">u8").reshape(-1, 2) for band in band_keys(own)])
        met = np.any([(one == other).all(axis=1) for one, other in zip(*keys, strict=True)], axis=0)
        expected = 1 - (1 - (both / (both + 2 * each)) ** BAND_ROWS) ** BANDS
        assert abs(met.mean() - expected) < 5 * np.sqrt(expected * (1 - expected) / trials)


LONG = "the quick brown fox ran over the lazy dog and then it slept in the warm sun until the evening came"
OTHER = "nobody told me that the train to the coast would leave before the others had even found their coats"


def made(talks, sizes=None, **fields):
    tables, dropped = build_tables([WeightedCorpus("ours", 1, corpus(talks))], Data(**fields), sizes or Sizes())
    left_out = tables.get("dropped", {}).get("train")
    return tables, dropped, left_out.to_pylist() if left_out else []


def test_a_train_pair_that_nearly_repeats_a_test_pair_leaves_train():
    train, test = in_split("train"), in_split("test")
    talks = [(train[0], ["What then?", LONG + " back"]), (train[1], [OTHER, "So?"]), (test[0], ["What then?", LONG])]
    tables, dropped, left_out = made(talks, near_duplicates=0.8)
    assert [texts(row) for row in tables["pairs"]["test"].to_pylist()] == [["What then?", LONG]]
    assert [texts(row) for row in tables["pairs"]["train"].to_pylist()] == [[OTHER, "So?"]]
    assert [(row["rule"], row["split"]) for row in left_out] == [(RULES[NEAR_DUPLICATE], "train")]
    assert dropped[f"pairs dropped: {RULES[NEAR_DUPLICATE]}"] == 1
    tables, dropped, left_out = made(talks)
    assert left_out == []
    assert not any(RULES[NEAR_DUPLICATE] in name for name in dropped)


def test_the_first_of_a_split_stays_and_candidates_below_the_threshold_stay():
    film = in_split("train")[0]
    talks = [(film, [LONG, "Yes."]), (film, [LONG, "Yes, yes."]), (film, [LONG.replace("lazy", "old"), "Yes."])]
    similarity = 17 / 23  # three of the 20 shingles have the word; the second pair's is 20 / 21
    for threshold, kept in ((similarity - 0.01, 1), (similarity + 0.01, 2), (1, 3)):
        tables, _, left_out = made(talks, near_duplicates=threshold)
        assert texts(tables["pairs"]["train"].to_pylist()[0])[0] == LONG
        assert len(left_out) == 3 - kept


def test_pairs_without_words_are_no_near_duplicates():
    film = in_split("train")[0]
    _, _, left_out = made([(film, ["...", "!"]), (film, ["?", "--"])], near_duplicates=0.5)
    assert left_out == []


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.lists(st.sampled_from("abcd"), min_size=2, max_size=9)), max_size=12),
    st.integers(2, 9),
    st.integers(1, 60),
)
def test_what_is_found_does_not_depend_on_batches_and_ranges(films, batch_lines, range_records):
    talks = [(0, ["x", "y"]), *((film, [" ".join(words), "so be it"]) for film, words in films)]
    whole = made(talks, near_duplicates=0.5)
    parts = made(talks, Sizes(batch_lines, 1_000_000, range_records), near_duplicates=0.5)
    assert parts[1:] == whole[1:]
    assert all(parts[0][config][split].equals(table) for config, of in whole[0].items() for split, table in of.items())
