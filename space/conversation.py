"""A conversation of the Chat tab: exchanges of a visitor's line and its drafts, each a reply of every variant.

It is kept in the visitor's session on the server; what a model reads of it is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chat.template import Message

VARIANT_LABELS = {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}
MAX_EXCHANGES = 50  # kept for one visitor


@dataclass(frozen=True)
class DraftReply:
    """What a variant answered, as far as it has."""

    text: str
    note: str = ""
    """How it ended, its time and its seed; empty until it has."""


Draft = Mapping[str, DraftReply]
"""By variant; of one request, in one batch."""


@dataclass(frozen=True)
class Exchange:
    """A visitor's line, and how often it has been answered."""

    line: str
    drafts: tuple[Draft, ...] = ()
    """None where it was stopped before its first word."""
    chosen: str = ""
    """The variant that was shown when the next line was said; "" of the latest exchange."""

    def with_draft(self, draft: Draft) -> Exchange:
        """The exchange with one draft more."""
        return replace(self, drafts=(*self.drafts, draft))


def say(history: list[Exchange], line: str, who: str) -> list[Exchange]:
    """The conversation with a new line; the line before was answered by `who`, whose reply was shown."""
    before = [*history[:-1], replace(history[-1], chosen=who)] if history else []
    return [*before, Exchange(line)][-MAX_EXCHANGES:]


def messages(history: list[Exchange]) -> list[Message]:
    """What a model may read: every line with the reply that was shown, and the latest line alone.

    A line that was stopped before its answer is left out, for turns alternate.
    """
    found: list[Message] = []
    for exchange in history[:-1]:
        if exchange.drafts:
            reply = exchange.drafts[-1][exchange.chosen or list(exchange.drafts[-1])[-1]].text
            found += [{"role": "user", "content": exchange.line}, {"role": "assistant", "content": reply}]
    return [*found, {"role": "user", "content": history[-1].line}] if history else []
