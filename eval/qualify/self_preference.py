"""Self-preference: does a judge that scores by a model's likelihood favour what that very model says?

Panickssery et al. (2024) ask an LLM about its own summaries and those of others. Here the judge's model M answers each
prompt; measured is how often the judge prefers M's reply to the film's, and to another model's, less how often a
reference judge, which scores by another model or none, does on the same pairs. 0 is none; a positive difference says
that the judge likes M's replies for being M's, or that the reference dislikes them for something else that M does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from eval.judge.bias import averaged
from eval.judge.comparison import Judge, compare_in_both_orders
from eval.qualify.card import SelfPreference
from eval.qualify.measured import clustered
from eval.qualify.pairs import ControlPair
from eval.qualify.qualification import known_order, win
from eval.rows import DialoguePair


def self_preference(
    judge: Judge, reference: Judge, drawn: Sequence[DialoguePair], own: Sequence[str], rivals: Mapping[str, list[str]]
) -> dict[str, SelfPreference]:
    """Self-preference by rival.

    Args:
        judge: scores by the likelihood of the model that `own` is from.
        reference: another judge.
        drawn: the prompts.
        own: that model's reply to each.
        rivals: replies of others to each, by who they are: the film's, another model's.
    """
    found = {}
    for rival, replies in rivals.items():
        pairs = [
            ControlPair(rival, row["movie_id"], row["prompt"], reply, other)
            for row, reply, other in zip(drawn, own, replies, strict=True)
            if reply.strip() and other.strip() and reply.split() != other.split()
        ]
        both = [averaged(compare_in_both_orders(one, known_order(pairs))) for one in (judge, reference)]
        known = [
            (win(a), win(b), pair.film)
            for a, b, pair in zip(*both, pairs, strict=True)
            if not math.isnan(a) and not math.isnan(b)
        ]
        films = [film for _, _, film in known]
        found[rival] = SelfPreference(
            clustered([a for a, _, _ in known], films),
            clustered([b for _, b, _ in known], films),
            clustered([a - b for a, b, _ in known], films),
        )
    return found
