"""Near-duplicates among many short texts, by ROUGE-L F1 over words.

ROUGE-L F1 of two texts is twice their longest common subsequence over both lengths (Lin, 2004), which is rapidfuzz's
normalized Indel similarity of the word sequences. Words are written as one letter each, so that its fast code for
strings does the work: 10,000 texts take seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

LIMIT = 0.7
_SURROGATES = 0xD800


def near_duplicates(texts: Sequence[str], against: Sequence[str] = (), limit: float = LIMIT) -> np.ndarray:
    """Deduplication mask, (texts,) of bool: which texts are near-duplicates of an earlier kept one or of `against`.

    Args:
        texts: in order of preference.
        against: texts that none may be like.
        limit: ROUGE-L F1 above which two texts are near-duplicates.
    """
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    letters: dict[str, str] = {}
    known, others = as_letters(texts, letters), as_letters(against, letters)
    found = np.zeros(len(known), dtype=bool)

    def above_limit(rows: list[str], columns: list[str]) -> np.ndarray:
        scores = cdist(
            rows, columns, scorer=Indel.normalized_similarity, score_cutoff=limit, dtype=np.float32, workers=-1
        )
        return scores > limit

    for start in range(0, len(known), 256):
        rows = known[start : start + 256]
        if others:
            found[start : start + len(rows)] = above_limit(rows, others).any(axis=1)
        matrix = above_limit(rows, known[: start + len(rows)])
        for row in range(len(rows)):
            index = start + row
            earlier = np.flatnonzero(matrix[row, :index])
            found[index] |= bool((~found[earlier]).any())
    return found


def as_letters(texts: Sequence[str], letters: dict[str, str]) -> list[str]:
    """Each text as a string of one letter a word; `letters` grows by the words that are new."""
    return ["".join(letters.setdefault(word, letter(len(letters))) for word in words(text)) for text in texts]


def letter(number: int) -> str:
    """Code point for word number `number`, surrogates left out."""
    return chr(number + 1 if number + 1 < _SURROGATES else number + 1 + 0x800)


def words(text: str) -> list[str]:
    """Words of a text in lower case, punctuation left out."""
    return re.findall(r"\w+", text.lower())
