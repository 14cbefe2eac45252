"""Arrow list columns (offsets and flat values) as numpy arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def ragged_ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ragged ranges first[i]..last[i], both ends included, as a list column has them.

        first [0, 5], last [2, 6]  ->  offsets [0, 3, 5], indices [0, 1, 2, 5, 6]

    Returns:
        Offsets, (ranges + 1,) of int32, and the indices of all ranges one after the other.
    """
    lengths = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return offsets.astype(np.int32), np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)


def one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as one array, which is copied only where it is in several."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def message_texts(messages: pa.ChunkedArray) -> pa.ListArray:
    """List column of the texts alone of a column of messages."""
    whole = messages.combine_chunks()
    return pa.ListArray.from_arrays(whole.offsets, whole.values.field("content"))
