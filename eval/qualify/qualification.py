"""Qualification of a judge: control pairs put to it in both orders, and what its answers say of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from chat.template import Message
from eval.judge.bias import attribute_wins, averaged, chosen_echo, echo_share, word_count
from eval.judge.comparison import Comparison, Judge, compare_in_both_orders
from eval.qualify.card import QualificationCard
from eval.qualify.controls import CONTROLS
from eval.qualify.measured import Measured, clustered
from eval.qualify.pairs import SAMPLES, ControlPair

Orders = list[tuple[float, float]]
Attribute = Callable[[list[Message], str], float]
"""Of a reply to a prompt."""


def known_order(pairs: Sequence[ControlPair]) -> list[Comparison]:
    """Comparisons of control pairs, the better reply first."""
    return [(pair.prompt, pair.better, pair.worse) for pair in pairs]


def qualify(judge: Judge, pairs: Sequence[ControlPair], data: str) -> QualificationCard:
    """Qualification card of a judge, without what takes more than control pairs: people, self-preference, cost.

    Args:
        judge: is asked about every pair twice.
        pairs: of all controls.
        data: where they are from, for the card.
    """
    return measure_card(judge.name, pairs, compare_in_both_orders(judge, known_order(pairs)), data)


def measure_card(judge: str, pairs: Sequence[ControlPair], orders: Orders, data: str) -> QualificationCard:
    """Qualification card from a judge's answers."""
    probabilities = averaged(orders)
    asked = {pair.control for pair in pairs}
    controls = (*CONTROLS, *(name for name in SAMPLES.values() if name in asked))
    judgements = [(pair.film, p) for pair, both in zip(pairs, orders, strict=True) for p in both]
    return QualificationCard(
        judge=judge,
        data=data,
        films=len({pair.film for pair in pairs}),
        controls={name: accuracy(name, pairs, probabilities) for name in controls},
        biases={
            "position": position_bias(judgements),
            "length": attribute_bias(word_count, pairs, probabilities),
            "echo": attribute_bias(echo_share, pairs, probabilities),
        },
        echo=echo_words(pairs, probabilities),
        unscored=clustered([float(math.isnan(p)) for _, p in judgements], [film for film, _ in judgements]),
    )


def accuracy(control: str, pairs: Sequence[ControlPair], probabilities: Sequence[float]) -> Measured:
    """Accuracy on one control: the share of its scored pairs in which the film's reply is preferred; a tie is half."""
    known = [
        (win(p), pair.film)
        for pair, p in zip(pairs, probabilities, strict=True)
        if pair.control == control and not math.isnan(p)
    ]
    return clustered([value for value, _ in known], [film for _, film in known])


def win(probability: float) -> float:
    """1 where a reply is preferred, 0 where the other is, one half for a tie."""
    return (probability > 0.5) + 0.5 * (probability == 0.5)


def position_bias(judgements: Sequence[tuple[str, float]]) -> Measured:
    """Position bias: the share of judgements, of both orders, in which the reply shown first won; ties left out."""
    decided = [(float(p > 0.5), film) for film, p in judgements if p != 0.5 and not math.isnan(p)]
    return clustered([value for value, _ in decided], [film for _, film in decided])


def attribute_bias(attribute: Attribute, pairs: Sequence[ControlPair], probabilities: Sequence[float]) -> Measured:
    """P(the reply with more of an attribute wins), balanced as `eval.judge.bias.attribute_wins` has it."""
    better = [attribute(pair.prompt, pair.better) for pair in pairs]
    worse = [attribute(pair.prompt, pair.worse) for pair in pairs]
    found = attribute_wins(better, worse, probabilities)
    return clustered(found.wins, [pairs[place].film for place in found.places], found.weights)


def echo_words(pairs: Sequence[ControlPair], probabilities: Sequence[float]) -> dict[str, float]:
    """Mean share of words that repeat the prompt's, of the replies that were chosen and of those that were rejected.

    Pairs of the control `echoing` are left out: there one reply is made of nothing else.
    """
    return chosen_echo(
        (pair.prompt, *((pair.better, pair.worse) if p > 0.5 else (pair.worse, pair.better)))
        for pair, p in zip(pairs, probabilities, strict=True)
        if pair.control != "echoing" and p != 0.5 and not math.isnan(p)
    )
