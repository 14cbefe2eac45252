"""The blind ballot, of the page and of the raters' sheet: one option for each different reply, in a hash's order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

TIE, SKIP, BAD = "tie", "skip", "bad"
"""What a voter may answer instead of choosing: no difference, no opinion, or none of them is any good."""


@dataclass(frozen=True)
class Option:
    """A reply as it is shown, and the variants that gave it: a choice of it is a choice of all of them."""

    text: str
    variants: tuple[str, ...]


def options(replies: Mapping[str, str], *key: object) -> list[Option]:
    """Puts replies, by variant, on a ballot. Equal texts are one option.

    The order is that of sha256 over the key (a seed, a rater, an item) and the variants: random to whoever does not
    know the key, and the same every time.
    """
    by_text: dict[str, list[str]] = {}
    for variant, text in replies.items():
        by_text.setdefault(" ".join(text.split()), []).append(variant)
    found = [Option(text, tuple(sorted(variants))) for text, variants in by_text.items()]
    return sorted(found, key=lambda option: hash_of(*key, *option.variants))


def hash_of(*parts: object) -> str:
    """sha256 over the parts, in hex; no part runs over into the next."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
