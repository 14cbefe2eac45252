"""Controls: worse replies made from a film's own, so that it is known which of two a judge must prefer.

A control is a pure function of a line, the film's reply to it, a random generator and a pool of other replies:

    Where were you last night?   At the pier, with a gun in my hand.   (the film)
    shuffled                     I never liked your mother's cooking.   another film's reply, of like length
    same_film                    Tell the captain that I have it.       another conversation of this film
    truncated                    At the pier, with
    echoing                      Where were you last night?
    repeated                     At the pier, with a gun in my hand. At the pier, with a gun in my hand.
    over_long                    At the pier, with a gun in my hand. Nobody move. It is late, Frank. Is it loaded?
    assistant_like               As an AI language model, I cannot answer that. How can I assist you today?

It gives None where the film's reply does not serve: of three words there is no half.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_TRUNCATED = 4
"""Words that a reply must have to be cut in its middle."""
LENGTH_CANDIDATES = 30
"""Replies drawn by chance, of which the one nearest in length is taken."""
ADDED = 3
"""Lines that an over-long reply goes on with."""
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"')\]])\s+")
"""What stands between two sentences."""
ASSISTANT_PHRASES = (
    "As an AI language model, I do not have personal experiences, but I can try to help you with that.",
    "I'm just an AI, so I can't answer that the way a person would. How can I assist you today?",
    "I'm sorry, but I cannot assist with that request. Is there anything else I can help you with?",
    "Here is a possible response to the line you provided. Feel free to reach out if you have questions.",
    "That's a great question! I hope this helps, and please don't hesitate to reach out if you need more.",
)
"""What assistants say of themselves, after `eval.metrics.assistant_speak`."""
EXPLANATIONS = (
    'This is a classic example of a scene from the film in which the main character says "{line}"',
    'In this scene, the speaker says "{line}" to show the audience how the character feels.',
    'The line "{line}" is a famous quote from the movie, and the protagonist means it literally.',
)
"""What assistants say of a line instead of answering it, after `eval.metrics.explains_or_directs`."""


@dataclass(frozen=True)
class Pool:
    """Other replies of the held-out films."""

    other_films: Sequence[str]
    same_film: Sequence[str]
    """Of this film, from other conversations."""


Control = Callable[[str, str, random.Random, Pool], str | None]


def shuffled(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """Another film's reply, of like length: the floor."""
    return nearest_in_length(reply, pool.other_films, rng)


def same_film(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """A reply of the same film from another conversation, of like length: the same speakers and subjects."""
    return nearest_in_length(reply, pool.same_film, rng)


def truncated(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """The first half of the reply, which ends in mid-sentence."""
    own = reply.split()
    return " ".join(own[: len(own) // 2]).rstrip(".,;:!?-") if len(own) >= MIN_TRUNCATED else None


def echoing(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """The line's own last words, as many as the reply has where there are so many."""
    return " ".join(line.split()[-len(reply.split()) :]) or None


def repeated(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """The reply said twice, or its last words in a loop."""
    if rng.random() < 0.5:
        return f"{reply} {reply}"
    return " ".join([reply, *reply.split()[-4:] * 3])


def over_long(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """The reply with lines of other films after it."""
    if len(pool.other_films) < ADDED:
        return None
    return " ".join([reply, *rng.sample(list(pool.other_films), ADDED)])


def assistant_like(line: str, reply: str, rng: random.Random, pool: Pool) -> str | None:
    """What an assistant says instead of answering as a character."""
    return rng.choice(ASSISTANT_PHRASES + EXPLANATIONS).format(line=" ".join(line.split()))


CONTROLS: dict[str, Control] = {
    "shuffled": shuffled,
    "same film": same_film,
    "truncated": truncated,
    "echoing": echoing,
    "repeated": repeated,
    "over-long": over_long,
    "assistant-like": assistant_like,
}
"""By the name that cards show: the film's own reply over ..."""


def first_sentences(text: str, words: int) -> str:
    """The first sentences of a text, as many as make no more than some words together, at least one.

    So a long-winded reply is compared at like length, and is not cut in mid-sentence.
    """
    first, *others = SENTENCE_END.split(" ".join(text.split()))
    for sentence in others:
        longer = f"{first} {sentence}"
        if len(longer.split()) > words:
            break
        first = longer
    return first


def nearest_in_length(reply: str, candidates: Sequence[str], rng: random.Random) -> str | None:
    """Of some candidates drawn by chance, the reply whose number of words is nearest; None where there is no other."""
    drawn = rng.sample(list(candidates), min(LENGTH_CANDIDATES, len(candidates)))
    others = [one for one in drawn if one.strip().lower() != reply.strip().lower()]
    return min(others, key=lambda one: abs(len(one.split()) - len(reply.split())), default=None)
