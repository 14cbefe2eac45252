"""Base format: a base is asked in the reply format that is better for it on validation pairs; a tie is for chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chat.likelihood import log_probs
from chat.plain_lines import PlainLines
from chat.reply_format import ChatTurns, ReplyFormat
from chat.variants import ModelVariants
from eval.rows import DialoguePair, film_reply
from stats.clustered import paired_difference

BASE_FORMATS: dict[str, Callable[[Any], ReplyFormat]] = {"chat": ChatTurns, "plain": PlainLines}
"""Reply formats that a base may be asked in, by the name that results call them."""


@dataclass(frozen=True)
class FormatChoice:
    """Choice of the base's reply format."""

    chosen: str
    other: str
    validation: dict[str, float]
    """Text-only nats per byte of the validation pairs' replies, by format; none where there are no such pairs."""


def base_in(variants: ModelVariants, name: str) -> ModelVariants:
    """The variants with the base in a reply format, and the adapters in the chat format that they were trained in."""
    return replace(variants, formats={"base": BASE_FORMATS[name](variants.tokenizer)})


def choose_format(variants: ModelVariants, pairs: Sequence[DialoguePair]) -> FormatChoice:
    """Chooses the base's format by its text-only nats per byte on these pairs, by film.

    A tie is for the chat format, in which the page asks the base: plain lines are chosen where the interval of the
    paired difference leaves out 0 (of too few films for one, where the difference is above 0). Chat where there are no
    pairs.
    """
    if not pairs:
        return FormatChoice("chat", "plain", {})
    sizes = [float(len(film_reply(pair).encode())) for pair in pairs]
    nats = {name: text_nats(base_in(variants, name), "base", pairs) for name in BASE_FORMATS}
    per_byte = {name: [own / size for own, size in zip(found, sizes, strict=True)] for name, found in nats.items()}
    chat_over_plain = paired_difference(
        per_byte["chat"], per_byte["plain"], [pair["movie_id"] for pair in pairs], weights=sizes
    )
    least = chat_over_plain.value if chat_over_plain.low is None else chat_over_plain.low
    chosen, other = ("plain", "chat") if least > 0 else ("chat", "plain")
    return FormatChoice(chosen, other, {name: sum(found) / sum(sizes) for name, found in nats.items()})


def text_nats(variants: ModelVariants, name: str, pairs: Sequence[DialoguePair]) -> list[float]:
    """Loss of a variant on the film's reply to each prompt in nats, without that of its end."""
    scores = log_probs(variants, name, [(pair["prompt"], film_reply(pair)) for pair in pairs])
    return [-sum(own[:-1]) for own in scores]
