"""Arrow list columns as numpy sees them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def between(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the windows, (windows + 1,), and the places in all of them, one after the other."""
    lengths = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return offsets.astype(np.int32), np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)


def contents(messages: pa.ChunkedArray) -> pa.ListArray:
    """The texts alone of a column of messages."""
    whole = messages.combine_chunks()
    return pa.ListArray.from_arrays(whole.offsets, whole.values.field("content"))
