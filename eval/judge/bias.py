"""Position, length and echo bias, and the agreement of two judges (Cohen's kappa)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from chat.template import Message
from stats.intervals import Estimate, wilson_interval
from stats.kappa import cohen_kappa

Orders = Sequence[tuple[float, float]]
"""Of each pair, the probability that the reply shown first is better, in either order."""


def first_wins(orders: Orders) -> Estimate | None:
    """Position bias: the share of judgements in which the reply shown first won, of both orders; ties and NaN left out.

    A judge without a position bias is at one half, whatever the replies: each of them is first once.
    """
    decided = [p > 0.5 for pair in orders for p in pair if p != 0.5 and not math.isnan(p)]
    return wilson_interval(sum(decided), len(decided)) if decided else None


def longer_wins(replies: Sequence[tuple[str, str]], probabilities: Sequence[float]) -> Estimate | None:
    """Length bias: the share of pairs of unequal length in which the longer reply won; ties and NaN left out."""
    decided = [
        (len(first) > len(second)) == (p > 0.5)
        for (first, second), p in zip(replies, probabilities, strict=True)
        if len(first) != len(second) and p != 0.5 and not math.isnan(p)
    ]
    return wilson_interval(sum(decided), len(decided)) if decided else None


def averaged(orders: Orders) -> list[float]:
    """Order-averaged probability that the first reply of each pair is better.

    A position bias that adds to the one order takes from the other.
    """
    return [(ahead + 1 - swapped) / 2 for ahead, swapped in orders]


def agreement(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Agreement of two judges on the better reply of a pair, raw and as Cohen's kappa; ties and NaN left out."""
    both = [(a > 0.5, b > 0.5) for a, b in zip(first, second, strict=True) if not {0.5} & {a, b} and a == a and b == b]
    if not both:
        return {"pairs": 0, "raw": math.nan, "kappa": math.nan}
    raw = sum(a == b for a, b in both) / len(both)
    return {"pairs": len(both), "raw": raw, "kappa": cohen_kappa(*zip(*both, strict=True))}


def echo_share(prompt: Sequence[Message], reply: str) -> float:
    """Echo: the share of a reply's words that stand in the line that it answers; 0 for a reply without words."""
    said, own = set(_words(prompt[-1]["content"])), _words(reply)
    return sum(word in said for word in own) / len(own) if own else 0.0


def chosen_echo(choices: Iterable[tuple[Sequence[Message], str, str]]) -> dict[str, float]:
    """Mean echo of chosen and of rejected replies, from prompts with both; empty where nothing was chosen."""
    shares = [[echo_share(prompt, reply) for reply in replies] for prompt, *replies in choices]
    if not shares:
        return {}
    return dict(zip(("chosen", "rejected"), map(fmean, zip(*shares, strict=True)), strict=True))


def word_count(prompt: Sequence[Message], reply: str) -> float:
    """Length of a reply in words; the prompt does not matter."""
    return float(len(reply.split()))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['\u2019]\w+)*", text.lower())


class Wins(NamedTuple):
    """Wins of the replies that have more of an attribute (words, echo), where one reply is known to be better."""

    wins: list[float]
    """By pair, 1 where the reply that has more of it won, 0.5 for a tie."""
    weights: list[float]
    """By pair, so that both truths weigh one half: more of it is better, and it is worse."""
    places: list[int]
    """Places of the pairs that differ in it and were scored."""


def attribute_wins(better: Sequence[float], worse: Sequence[float], probabilities: Sequence[float]) -> Wins:
    """Attribute bias: how often the reply that has more of something wins, balanced over whether it is the better one.

    A judge that knows the truth, or tosses a coin, is at one half; one that takes the longer reply in a share q of the
    pairs and else knows the truth is at (1 + q) / 2. Where only one truth occurs, nothing can be balanced: no wins.

    Args:
        better: of each pair, the attribute of the better reply,
        worse: and of the other.
        probabilities: of each pair, that the better reply is preferred; NaN where the judge did not say.
    """
    index = [place for place, p in enumerate(probabilities) if better[place] != worse[place] and not math.isnan(p)]
    more_is_better = [better[place] > worse[place] for place in index]
    counts = Counter(more_is_better)
    if len(counts) < 2:
        return Wins([], [], [])
    won = [(probabilities[place] > 0.5) + 0.5 * (probabilities[place] == 0.5) for place in index]
    wins = [one if more else 1 - one for one, more in zip(won, more_is_better, strict=True)]
    return Wins(wins, [1 / counts[more] for more in more_is_better], index)
