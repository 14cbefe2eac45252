"""MinHash of word shingles: sets of words that are alike have the same keys, with a probability that is known.

    words of prompt and reply    where are you going home
    shingles of three words      {where are you, are you going, you going home}
    112 minima, in 14 bands of 8 -> 14 keys

Two sets of Jaccard similarity s have a key in common with a probability of 1 - (1 - s^8)^14: 0.57 at 0.7, 0.92 at 0.8,
0.99 at 0.85. What has a key in common is a candidate; `jaccard` says how alike it is.

Sources: Broder, "On the resemblance and containment of documents", 1997 (shingles and minima); Leskovec, Rajaraman and
Ullman, "Mining of Massive Datasets", section 3.4 (bands). The numbers of bands and rows are those of FineWeb (2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.data.arrow_lists import one_chunk, ragged_ranges
from training.data.sorted_runs import digests
from training.data.windows import Windows

SHINGLE_WORDS = 3
BANDS, BAND_ROWS = 14, 8
HASH_SEED = 228


class Shingles(NamedTuple):
    """Shingles of pairs by their hashes; those of pair i are values[first[i]:end[i]], of a pair without words none."""

    values: np.ndarray
    first: np.ndarray
    end: np.ndarray


def mixed(values: np.ndarray) -> np.ndarray:
    """Spreads 64 bits over 64 bits, one to one (SplitMix64's last step)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shingles(texts: pa.ChunkedArray, windows: Windows) -> Shingles:
    """Word shingles of the lines of each window; of fewer words than a shingle has all of them are one.

    Words are runs of letters and digits, in lower case: a script without spaces has a word for each run.
    """
    spaced = pc.replace_substring_regex(pc.utf8_lower(one_chunk(texts)), r"[^\pL\pN]+", " ")
    trimmed = pc.utf8_trim_whitespace(spaced)
    words = pc.utf8_split_whitespace(trimmed)  # of nothing one, which is empty
    counts = np.where(pc.equal(trimmed, ""), 0, words.value_lengths()).astype(np.int64)
    every = words.flatten()
    coded = every.filter(pc.not_equal(every, "")).dictionary_encode()
    hashed = np.frombuffer(digests(coded.dictionary.to_pylist()), dtype=">u8")[::2].astype(np.uint64)
    own = np.append(hashed[coded.indices.to_numpy()], np.zeros(SHINGLE_WORDS, np.uint64))
    before = np.concatenate([[0], np.cumsum(counts)])
    first, end = before[windows.first], before[windows.reply + 1]
    hashes, chain = [], np.zeros(len(own) - SHINGLE_WORDS, np.uint64)
    for place in range(SHINGLE_WORDS):  # of one word from each on, of two, of three
        chain = mixed(chain + np.uint64(place + 1) + own[place : place + len(chain)])
        hashes.append(chain)
    start, stop = first.copy(), np.maximum(first, end - SHINGLE_WORDS + 1)
    for words_of in range(1, SHINGLE_WORDS):
        short = np.flatnonzero(end - first == words_of)
        start[short] = sum(map(len, hashes[SHINGLE_WORDS - 1 :])) + np.arange(len(short))
        stop[short] = start[short] + 1
        hashes.append(hashes[words_of - 1][first[short]])
    return Shingles(np.concatenate(hashes[SHINGLE_WORDS - 1 :]), start, stop)


def band_keys(own: Shingles) -> Iterator[bytes]:
    """Yields the keys of one band after the other, as `sorted_runs.digests` has them; each pair has a shingle."""
    factors, shifts = np.random.default_rng(HASH_SEED).integers(2**64, size=(2, BANDS, BAND_ROWS), dtype=np.uint64)
    bounds = np.stack([own.first, own.end], axis=1).ravel()
    values = np.append(own.values, np.uint64(0))  # an end is a place in it too
    for band in range(BANDS):
        keys = np.full((len(own.first), 2), [2 * band, 2 * band + 1], dtype=np.uint64)
        for factor, shift in zip(factors[band] | np.uint64(1), shifts[band], strict=True):
            lowest = np.minimum.reduceat(values * factor + shift, bounds)[::2]
            keys = mixed(keys + lowest[:, None])
        yield keys.astype(">u8").tobytes()


def jaccard(left: Shingles, right: Shingles) -> np.ndarray:
    """Jaccard similarity of the sets of shingles, (pairs,): what both have over what either has."""
    sides = [_distinct(*flat(one)) for one in (left, right)]
    pair, value = (np.concatenate(columns) for columns in zip(*sides, strict=True))
    order = np.lexsort((value, pair))
    pair, value = pair[order], value[order]
    twice = (pair[1:] == pair[:-1]) & (value[1:] == value[:-1])
    both = np.bincount(pair[1:][twice], minlength=len(left.first))
    return both / np.maximum(1, np.bincount(pair, minlength=len(left.first)) - both)


def flat(own: Shingles) -> tuple[np.ndarray, np.ndarray]:
    """All shingles, one after the other: the pair of each, and its hash."""
    offsets, places = ragged_ranges(own.first, own.end - 1)
    return np.repeat(np.arange(len(own.first)), np.diff(offsets)), own.values[places]


def _distinct(pair: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each shingle of a pair once."""
    order = np.lexsort((value, pair))
    pair, value = pair[order], value[order]
    new = np.append(True, (pair[1:] != pair[:-1]) | (value[1:] != value[:-1]))[: len(pair)]
    return pair[new], value[new]
