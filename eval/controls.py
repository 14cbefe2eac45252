"""Controls of every comparison: the film's own reply, which nobody should beat, and another film's, which all should.

They are the ceiling and the floor of a judge's scale: a judge that does not prefer the first to the second is none.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from eval.rows import DialoguePair, film_reply


def control_replies(pairs: Sequence[DialoguePair], seed: int) -> dict[str, list[str]]:
    """The films' own replies and, where there are two films, other films', by name of the control."""
    shuffled = shuffled_replies(pairs, seed)
    return {"film": [film_reply(pair) for pair in pairs]} | ({"shuffled": shuffled} if shuffled else {})


def shuffled_replies(pairs: Sequence[DialoguePair], seed: int) -> list[str] | None:
    """Another film's reply to each prompt, of like length; None where all prompts are of one film.

    In an order drawn by seed each prompt takes the reply nearest in length to its own of those that nobody has taken,
    so that as a set they are the films' own replies as far as the films allow.
    """
    films, texts = [pair["movie_id"] for pair in pairs], [film_reply(pair) for pair in pairs]
    if len(set(films)) < 2:
        return None
    order = random.Random(seed).sample(range(len(pairs)), len(pairs))
    free, taken = dict.fromkeys(order), {}
    for index in order:
        foreign = [other for other in free if films[other] != films[index] and texts[other] != texts[index]]
        foreign = foreign or [other for other in order if films[other] != films[index]]
        taken[index] = min(foreign, key=lambda other: abs(len(texts[other]) - len(texts[index])))
        free.pop(taken[index], None)
    return [texts[taken[index]] for index in range(len(pairs))]
