"""Reply format: how a variant is asked, and how its reply ends: as a turn of its chat format, or as a plain line.

| | prompt | reply | its end |
|---|---|---|---|
| `ChatTurns` | the chat format's, with our system message | the assistant's turn | the format's end of turn |
| `PlainLines` (`chat/plain_lines.py`) | its lines, one under the other | the next line | a line break |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from chat.template import Message, encode_prompt, encode_reply, stop_ids


class ReplyFormat(Protocol):
    """Reply format of a variant, on its tokenizer."""

    name: str
    """What results call it."""
    stop_is_text: bool
    """Whether the token that ends a reply may hold its last characters, as `.` with a line break does."""

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes messages up to where the reply begins."""

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply, and one token that ends it."""

    def stop_names(self) -> dict[int, str]:
        """Stop tokens by id, each with the published name of what it ends: STOP or PAD of `chat.template`."""

    def never_first(self) -> list[int]:
        """Tokens that a generated reply does not begin with: an empty line is no reply."""

    def reply_log_probs(self, predicted: Any, reply: list[int]) -> list[float]:
        """Log-probabilities of a reply in nats: of each token of its text, and last of its end.

        Args:
            predicted: log-probabilities at the reply's places, (tokens, vocabulary).
            reply: from `encode_reply`.
        """


@dataclass(frozen=True)
class ChatTurns:
    """Turns of the tokenizer's chat format (`chat.template`)."""

    tokenizer: Any
    name = "chat"
    stop_is_text = False

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes messages up to where the assistant's turn begins."""
        return encode_prompt(self.tokenizer, messages)

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply, and the token that ends its turn."""
        return encode_reply(self.tokenizer, reply)

    def stop_names(self) -> dict[int, str]:
        """The end of a turn, and the end of a text."""
        return {token: name for name, token in stop_ids(self.tokenizer).items()}

    def never_first(self) -> list[int]:
        """None: a model that ends its turn at once has said nothing, and is counted as empty."""
        return []

    def reply_log_probs(self, predicted: Any, reply: list[int]) -> list[float]:
        """Log-probabilities of the reply's tokens, the end of the turn last."""
        return token_log_probs(predicted, reply)


def token_log_probs(predicted: Any, tokens: list[int]) -> list[float]:
    """Log-probability of each token from the log-probabilities at its place, (tokens, vocabulary)."""
    import torch

    places = torch.tensor(tokens, device=predicted.device)[:, None]
    found: list[float] = predicted.gather(-1, places)[:, 0].tolist()
    return found
