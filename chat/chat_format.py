"""Chat format: what turns messages into a model's tokens, the same wherever messages are read or trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


class ChatFormatError(ValueError):
    """A base that cannot be asked in turns: one line that says why, and the cure."""


class PairTexts(NamedTuple):
    """Prompts with their replies, every distinct text once."""

    roles: Sequence[str]
    """Distinct roles."""
    texts: Sequence[str]
    """Distinct texts of messages and replies."""
    message_roles: np.ndarray
    """(messages,), of all prompts one after the other, as indices into `roles`."""
    message_texts: np.ndarray
    """(messages,), the same into `texts`."""
    offsets: np.ndarray
    """(pairs + 1,), the messages of pair i are those from offsets[i] to offsets[i + 1]."""
    reply_texts: np.ndarray
    """(pairs,), as indices into `texts`."""


class EncodedPairs(NamedTuple):
    """Token ids of many prompts with their replies, one pair after the other."""

    tokens: np.ndarray
    """(tokens,), int32."""
    of_reply: np.ndarray
    """(tokens,), whether a token is of the reply or its end, and so trained."""
    lengths: np.ndarray
    """(pairs,), tokens of each pair."""
    reply_lengths: np.ndarray
    """(pairs,), tokens of each reply with its end."""


class ChatFormat(Protocol):
    """A chat format, as read from a tokenizer: `ChatML`, or the `OwnFormat` of a base."""

    end_of_turn: str
    """The token that ends an assistant's turn."""
    own: bool
    """Whether it is the base's own, whose tokens are trained."""
    system_in_first_turn: bool
    """Whether there is no system role, so that the system message goes before the first user turn."""

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes messages up to where the reply begins."""

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply, and the token that ends it."""

    def encode_pairs(self, pairs: PairTexts) -> EncodedPairs:
        """Encodes pairs for training, as `chat.template.encode_pairs` says."""

    def render_prompt(self, messages: list[Message]) -> str:
        """Renders a prompt as text, in which contents are as they are."""

    def render_reply(self, reply: str) -> str:
        """Renders a reply as the text behind that of a prompt, without the token that ends it."""
