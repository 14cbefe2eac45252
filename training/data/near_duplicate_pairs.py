"""Near-duplicates among all batches, out of memory: candidates by MinHash, each verified by its words.

The keys of the bands are records of sorted runs, as those of exact duplicates; of equal ones each is a candidate with
the first, a test pair's before a train pair's. A candidate is verified batch by batch, so that of two batches those
lines alone are in memory which are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data.arrow_lists import one_chunk, ragged_ranges
from training.data.batches import NEAR_RUN, StoredBatch, open_batch
from training.data.minhash import Shingles, jaccard, shingles
from training.data.sorted_runs import EVERY, first_of_key, key_ranges, rows_of, save_whole
from training.data.windows import Windows
from training.recipe_schema import Data

CANDIDATE_FOLDER = "candidates"
VERIFIED_AT_ONCE = 50_000  # candidates whose shingles are in memory


def find_candidates(batches: Sequence[Path], folder: Path, most: int, share: slice = EVERY) -> None:
    """Leaves the candidates of near-duplicates in a folder, a file for each range of keys: rows, and the other's rows.

    Args:
        batches: their folders.
        folder: for what is found.
        most: records of a range of keys.
        share: which of the ranges.
    """
    runs = [batch / NEAR_RUN for batch in batches]
    for file, records in key_ranges(runs, folder / CANDIDATE_FOLDER, most, share):
        first, rows = first_of_key(records), rows_of(records)
        again = np.flatnonzero(first != np.arange(len(first)))
        save_whole(file, np.unique(np.stack([rows[again], rows[first[again]]]), axis=1))


def verify_candidates(batches: Sequence[Path], data: Data, folder: Path, share: slice = EVERY) -> None:
    """Leaves the rows of the pairs that nearly repeat an earlier one in a folder, as `find_rows` does: a file a batch.

    Args:
        batches: their folders.
        data: of the recipe; `near_duplicates` is the least Jaccard similarity.
        folder: as of `find_candidates`, of which all candidates are there.
        share: which of the batches.
    """
    starts = np.array([open_batch(batch).about["first_pair"] for batch in batches])
    for place in range(len(batches))[share]:
        if not (file := folder / f"{place:06}.npy").exists():
            batch = open_batch(batches[place])
            save_whole(file, verified(batch, batches, starts, folder / CANDIDATE_FOLDER, data))


def verified(
    batch: StoredBatch, batches: Sequence[Path], starts: np.ndarray, candidates: Path, data: Data
) -> np.ndarray:
    """The rows of a batch's pairs that are as alike to the other of a candidate as `near_duplicates` asks."""
    start, pieces = batch.about["first_pair"], [np.empty((2, 0), dtype=np.int64)]
    for path in sorted(candidates.glob("[0-9]*.npy")):
        found = np.load(path, mmap_mode="r")
        pieces.append(np.array(found[:, slice(*np.searchsorted(found[0], [start, start + batch.about["pairs"]]))]))
    rows, others = np.unique(np.concatenate(pieces, axis=1), axis=1)
    home = np.searchsorted(starts, others, side="right") - 1  # an empty batch begins where the next does
    near = []
    for place in np.unique(home).tolist():
        partner, own = open_batch(batches[place]), np.flatnonzero(home == place)
        for some in np.array_split(own, -(-len(own) // VERIFIED_AT_ONCE)):
            left = shingles_of(batch, rows[some] - start, data)
            right = shingles_of(partner, others[some] - starts[place], data)
            near.append(rows[some][jaccard(left, right) >= (data.near_duplicates or 1)])
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *near]))


def shingles_of(batch: StoredBatch, pairs: np.ndarray, data: Data) -> Shingles:
    """Shingles of some pairs of a batch; no other line is looked at."""
    windows = batch.windows(data).take(pairs)
    offsets, lines = ragged_ranges(windows.first, windows.reply)
    texts = one_chunk(batch.corpus.lines["text"]).take(lines)
    return shingles(texts, Windows(offsets[:-1], offsets[1:] - 1, windows.talk))
