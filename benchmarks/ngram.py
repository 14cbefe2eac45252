"""A Kneser-Ney n-gram model over token ids: the peer that a neural model of the same tokens is measured against.

Interpolated modified Kneser-Ney smoothing (Kneser and Ney, 1995; Chen and Goodman, 1999, section 3), down to the
uniform distribution, with h' the history h less its first token:

    p(w | h) = max(c(h w) - D(c(h w)), 0) / c(h .) + gamma(h) p(w | h')
    gamma(h) = (D1 N1(h .) + D2 N2(h .) + D3 N3+(h .)) / c(h .)

c counts occurrences at the highest order and, below it, the different tokens seen before h w; an n-gram that begins a
sequence has nothing before it and keeps its occurrences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # where a toy corpus has no n-gram of some count from 1 to 4 (as in KenLM)


@dataclass
class _Order:
    keys: np.ndarray  # of each n-gram, sorted: history's number * vocabulary + token
    discounted: np.ndarray  # of each n-gram: c(h w) - D(c(h w))
    totals: np.ndarray  # of each history: c(h .)
    kept_back: np.ndarray  # of each history: gamma(h) c(h .)


class KneserNey:
    """An n-gram model of sequences that begin with a boundary token, which is history only and never predicted.

    Args:
        sequences: token ids, each below `vocabulary`; the boundary first, and nowhere else but at the end.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], vocabulary: int, order: int = 5) -> None:
        self.vocabulary = vocabulary
        tokens, depth = _joined(sequences)
        numbers, keys, firsts = [tokens], [np.arange(vocabulary)], [np.array([], dtype=np.int64)]
        for n in range(2, order + 1):  # an n-gram's number: its place among the sorted keys of its order
            places = np.flatnonzero(depth >= n - 1)
            found, first, number = np.unique(
                numbers[-1][places - 1] * vocabulary + tokens[places], return_index=True, return_inverse=True
            )
            keys.append(found)
            firsts.append(places[first])
            numbers.append(np.full(len(tokens), -1))
            numbers[-1][places] = number
        self.orders = []
        for n in range(1, order + 1):
            if n == order:
                counted = np.flatnonzero(depth >= max(n - 1, 1))
            else:  # one place for each token before it, and every place where nothing is before it
                counted = np.concatenate([firsts[n], np.flatnonzero(depth == n - 1) if n > 1 else firsts[0]])
            counts = np.bincount(numbers[n - 1][counted], minlength=len(keys[n - 1]))
            histories = keys[n - 1] // vocabulary
            discounts = discounts_of(counts)[np.minimum(counts, 3)]
            size = len(keys[n - 2]) if n > 1 else 1
            self.orders.append(
                _Order(
                    keys[n - 1],
                    counts - discounts,
                    np.bincount(histories, weights=counts, minlength=size),
                    np.bincount(histories, weights=discounts, minlength=size),
                )
            )

    def log_probs(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        """Returns log p(token | history) in nats of every token but the first of each sequence, in one row."""
        tokens, depth = _joined(sequences)
        p = np.full(len(tokens), 1 / self.vocabulary)
        history = np.where(depth > 0, 0, -1)  # number of the history before each token, -1 where it was never seen
        for order in self.orders:
            key = history * self.vocabulary + tokens
            place = np.minimum(np.searchsorted(order.keys, key), len(order.keys) - 1)
            seen = (history >= 0) & (order.keys[place] == key)
            total = np.where(history >= 0, order.totals[history], 0)
            own = np.where(seen, order.discounted[place], 0)
            p = np.where(total > 0, (own + order.kept_back[history] * p) / np.maximum(total, 1), p)
            number = tokens if order is self.orders[0] else np.where(seen, place, -1)
            history = np.where(depth > 0, np.roll(number, 1), -1)
        return np.log(p[depth > 0])


def discounts_of(counts: np.ndarray) -> np.ndarray:
    """D for counts of 0, 1, 2, and 3 or more, from how many n-grams have each count (Chen and Goodman, 1999)."""
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    return np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])


def _joined(sequences: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns all tokens in one row, and of each its place in its own sequence."""
    tokens = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in sequences])
    return tokens, np.concatenate([np.arange(len(sequence)) for sequence in sequences])
