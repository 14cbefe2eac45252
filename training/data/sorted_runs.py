"""External sorting: equal keys are found among more records than memory holds.

A batch leaves its records as one sorted run, a file. All runs are then read together, one range of keys after the
other, so that a range holds every record of its keys and is small; what is found in it is left as a file of rows.

    run 0   [a c f | k m]     range 0 of all runs   a a c c f   ->  rows found in range 0, sorted
    run 1   [a c   | m z]     range 1               k m m z     ->  rows found in range 1, sorted

Keys are BLAKE2b digests, spread evenly, so that ranges of equal width hold about as many records. Every file is renamed
to its name when it is whole: whoever is killed carries on with the next one, and several may share the ranges.

Source: Knuth, "The Art of Computer Programming" 3, section 5.4 (external sorting), with distribution by key in place of
the merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.data.arrow_lists import one_chunk

HIGH, LOW, RANKING, VALUE = range(4)
"""Rows of a run, (4, records) of uint64: the key in two halves, the rank among records of its key, and a value."""
ROW_BITS = 56  # of a rank; what stands above them is its order
EVERY = slice(None)  # share of all there is; slice(rank, None, tasks) is one task's
DIGEST = 16  # bytes of a key: of 10^9 keys two are the same by chance with a probability of 10^-21

Finder = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Sorted records, and for each the place of the first of its key, to a mask of the records that are wanted."""


def digests(texts: Sequence[str]) -> bytes:
    """Keys of texts, one after the other, each a BLAKE2b digest."""
    return b"".join([blake2b(text.encode(), digest_size=DIGEST).digest() for text in texts])


def digests_of_ranges(texts: pa.ChunkedArray, first: np.ndarray, last: np.ndarray) -> bytes:
    """Keys of ranges of texts, both ends included, none of which has a line break: of each its texts line by line."""
    starts = np.concatenate([[0], np.cumsum(pc.binary_length(texts).to_numpy().astype(np.int64) + 1)])
    every = pa.ListArray.from_arrays([0, len(texts)], one_chunk(texts))
    whole = pc.binary_join(every, "\n")[0].as_buffer().to_pybytes()
    ranges = zip(starts[first].tolist(), (starts[last + 1] - 1).tolist(), strict=True)
    return b"".join([blake2b(whole[start:end], digest_size=DIGEST).digest() for start, end in ranges])


def save_run(
    path: Path, keys: bytes, rows: np.ndarray, order: np.ndarray | int = 0, value: np.ndarray | int = 0
) -> None:
    """Writes records as a sorted run.

    Args:
        path: a file that is not there yet.
        keys: as `digests` has them.
        rows: (records,), below 2^ROW_BITS; what is found is told by them.
        order: which of a key comes first: the lowest order, and of those the lowest row; below 256.
        value: whatever a finder asks for, of 64 bits.
    """
    records = np.empty((4, len(rows)), dtype=np.uint64)
    records[HIGH : LOW + 1] = np.frombuffer(keys, dtype=">u8").reshape(-1, 2).T
    records[RANKING] = np.asarray(order).astype(np.uint64) << np.uint64(ROW_BITS) | rows.astype(np.uint64)
    records[VALUE] = value
    np.save(path, records[:, np.argsort(records[HIGH], kind="stable")])  # what ranges are cut by


def by_key(records: np.ndarray) -> np.ndarray:
    """The order of records by key and rank."""
    order = np.argsort(records[HIGH], kind="stable")
    high = records[HIGH, order]
    same = np.concatenate([[False], high[1:] == high[:-1], [False]])
    tied = np.flatnonzero(same[1:] | same[:-1])  # few: the rest is sorted already
    among = records[:, order[tied]]
    order[tied] = order[tied][np.lexsort((among[RANKING], among[LOW], among[HIGH]))]
    return order


def order_of(records: np.ndarray) -> np.ndarray:
    """The order that each record was saved with."""
    return records[RANKING] >> np.uint64(ROW_BITS)


def key_ranges(
    runs: Sequence[Path], folder: Path, most: int, share: slice = EVERY
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yields the records of all runs in ranges of keys, sorted by key and rank, and the file for what is found in each.

    A range that has its file is passed over. A run is mapped only while it is read, so that its pages do not stay in
    memory.

    Args:
        runs: the files.
        folder: for a file a range.
        most: about how many records are in a range.
        share: which of the ranges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(np.load(run, mmap_mode="r").shape[1] for run in runs)
    ranges = max(1, -(-total // most))
    files = [(place, folder / f"{place:06}.npy") for place in range(ranges)[share]]
    if not (left := [(place, file) for place, file in files if not file.exists()]):
        return
    edges = np.array([2**64 * place // ranges for place in range(1, ranges)], dtype=np.uint64)
    cuts = []
    for run in runs:
        high = np.load(run, mmap_mode="r")[HIGH]
        cuts.append([0, *np.searchsorted(high, edges).tolist(), len(high)])
        del high
    for place, file in left:
        pieces = [
            np.array(np.load(run, mmap_mode="r")[:, cut[place] : cut[place + 1]])
            for run, cut in zip(runs, cuts, strict=True)
        ]
        records = np.concatenate([np.empty((4, 0), dtype=np.uint64), *pieces], axis=1)
        yield file, records[:, by_key(records)]


def find_rows(runs: Sequence[Path], finder: Finder, folder: Path, most: int, share: slice = EVERY) -> None:
    """Leaves the rows of the records that a finder wants, sorted, as a file for each range of keys in a folder."""
    for file, records in key_ranges(runs, folder, most, share):
        save_whole(file, np.unique(rows_of(records)[finder(records, first_of_key(records))]))


def first_of_key(records: np.ndarray) -> np.ndarray:
    """For each of sorted records the place of the first of its key."""
    new = np.ones(records.shape[1], dtype=bool)
    new[1:] = (records[HIGH, 1:] != records[HIGH, :-1]) | (records[LOW, 1:] != records[LOW, :-1])
    return np.flatnonzero(new)[np.cumsum(new) - 1]


def rows_of(records: np.ndarray) -> np.ndarray:
    """The row that each record was saved with."""
    return (records[RANKING] & np.uint64(2**ROW_BITS - 1)).astype(np.int64)


def save_whole(path: Path, array: np.ndarray) -> None:
    """Saves an array under its name when it is whole."""
    draft = path.with_name(f"draft-{path.name}")
    np.save(draft, array)
    draft.replace(path)


def found_rows(folder: Path, start: int, end: int) -> np.ndarray:
    """The rows found from `start` to below `end`, sorted, each once."""
    pieces = [np.empty(0, dtype=np.int64)]
    for path in sorted(folder.glob("[0-9]*.npy")):
        rows = np.load(path, mmap_mode="r")
        pieces.append(np.array(rows[slice(*np.searchsorted(rows, [start, end]))]))
    return np.unique(np.concatenate(pieces))


def firsts(records: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Finder of the first record of each key."""
    return np.arange(len(first)) == first
