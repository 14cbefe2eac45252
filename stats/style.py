"""Style of a reply: its length, its echo of what was said before, its punctuation (Chatbot Arena's style control).

What raters like in it is told apart from what they like in the words (Li et al., 2024): length and markdown there,
length, echo and punctuation here, where replies are one line of dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Style(NamedTuple):
    """Style of one reply."""

    length: float
    """Words."""
    echo: float
    """Share of the words that the prompt has too."""
    punctuation: float
    """Punctuation marks a word."""


STYLE = Style._fields


def tokenize_words(text: str) -> list[str]:
    """Word tokens in lower case; punctuation marks are tokens of their own."""
    return re.findall(r"\w+(?:['\u2019]\w+)*|[^\w\s]", text.lower())


def style_of(text: str, lines: Iterable[str]) -> Style:
    """Style of a reply to lines of dialogue."""
    said = {word for line in lines for word in tokenize_words(line)}
    tokens = tokenize_words(text)
    words = [token for token in tokens if token[0].isalnum() or token[0] == "_"]
    some = max(1, len(words))
    return Style(float(len(words)), sum(word in said for word in words) / some, (len(tokens) - len(words)) / some)


def relative_difference(one: Style, other: Style) -> Style:
    """Style of a reply less that of another; of the lengths, over their sum, as the Arena does it."""
    length = (one.length - other.length) / max(1.0, one.length + other.length)
    return Style(length, one.echo - other.echo, one.punctuation - other.punctuation)
