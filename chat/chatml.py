"""ChatML as a chat format: control tokens go in by id, and what people wrote is encoded apart from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chat.chat_format import EncodedPairs, Message, PairTexts

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class ChatML:
    """ChatML: each message is `<|im_start|>`, role, newline, content, `<|im_end|>`, newline."""

    own = False
    system_in_first_turn = False

    def __init__(self, tokenizer: Any, start: str, stop: str) -> None:
        self.tokenizer, self.start, self.end_of_turn = tokenizer, start, stop

    def encode_prompt(self, messages: list[Message]) -> list[int]:
        """Encodes messages up to and including `<|im_start|>assistant` and its newline."""
        start, stop = self._control_ids()
        newline = _encode_plain(self.tokenizer, "\n")
        ids: list[int] = []
        for message in messages:
            plain = _encode_plain(self.tokenizer, f"{message['role']}\n{message['content']}")
            ids += [start, *plain, stop, *newline]
        return [*ids, start, *_encode_plain(self.tokenizer, "assistant\n")]

    def encode_reply(self, reply: str) -> list[int]:
        """Encodes a reply as plain text, and the `<|im_end|>` that ends it."""
        return [*_encode_plain(self.tokenizer, reply), self._control_ids()[1]]

    def encode_pairs(self, pairs: PairTexts) -> EncodedPairs:
        """Encodes pairs for training; every distinct text is tokenized once.

        A message is a row of pieces: its head (`<|im_start|>`, role, newline), its text and its tail (`<|im_end|>`,
        newline), where the tail of a reply is `<|im_end|>` alone.
        """
        import numpy as np

        roles, texts, message_roles, message_texts, offsets, reply_texts = pairs
        plain = _without_added_tokens(self.tokenizer)
        start, stop = self._control_ids()
        *heads, answer, newline = _encode_batch(plain, [*(f"{role}\n" for role in roles), "assistant\n", "\n"])
        pieces = [[start, *head] for head in (*heads, answer)] + [[stop, *newline], [stop], []]
        answer_head, tail, end, nothing = range(len(roles), len(roles) + 4)
        message_texts, reply_texts = message_texts + len(pieces), reply_texts + len(pieces)
        pieces += _encode_batch(plain, texts)

        # White space at the start of a text joins the newline of its head in one token: such messages are a piece each.
        joins = np.array([text[:1].isspace() for text in texts], dtype=bool)
        joined = np.flatnonzero(joins[message_texts - nothing - 1]) if len(texts) else np.empty(0, np.int64)
        message_heads = message_roles.astype(np.int64)
        message_heads[joined] = np.arange(len(pieces), len(pieces) + len(joined))
        whole = [f"{roles[message_roles[at]]}\n{texts[message_texts[at] - nothing - 1]}" for at in joined]
        pieces += [[start, *ids] for ids in _encode_batch(plain, whole)]
        message_texts[joined] = nothing

        places = np.arange(len(reply_texts))
        pair_of = np.repeat(places, np.diff(offsets))
        message = 3 * (np.arange(len(pair_of)) + pair_of)  # where its pieces start: a reply's three follow each prompt
        reply = 3 * (offsets[1:] + places)
        order = np.empty(3 * (len(pair_of) + len(places)), dtype=np.int64)
        order[message], order[message + 1], order[message + 2] = message_heads, message_texts, tail
        order[reply], order[reply + 1], order[reply + 2] = answer_head, reply_texts, end

        sizes = np.array([len(piece) for piece in pieces])
        flat = np.fromiter((token for piece in pieces for token in piece), dtype=np.int32, count=int(sizes.sum()))
        starts, lengths = (np.cumsum(sizes) - sizes)[order], sizes[order]
        positions = np.cumsum(lengths) - lengths
        tokens = flat[np.arange(lengths.sum()) + np.repeat(starts - positions, lengths)]
        trained = np.zeros(len(order), dtype=bool)
        trained[reply + 1] = trained[reply + 2] = True
        of_pair = np.add.reduceat(lengths, reply - 3 * np.diff(offsets)) if len(places) else np.empty(0, np.int64)
        return EncodedPairs(tokens, np.repeat(trained, lengths), of_pair, lengths[reply + 1] + lengths[reply + 2])

    def render_prompt(self, messages: list[Message]) -> str:
        """Renders a prompt as text, in which contents are as they are."""
        turns = (f"{self.start}{turn['role']}\n{turn['content']}{self.end_of_turn}\n" for turn in messages)
        return "".join(turns) + f"{self.start}assistant\n"

    def render_reply(self, reply: str) -> str:
        """The reply: nothing stands between a prompt and it, nor between it and its end."""
        return reply

    def _control_ids(self) -> tuple[int, int]:
        start, stop = self.tokenizer.convert_tokens_to_ids([self.start, self.end_of_turn])
        return start, stop


def encodes_in_pieces(tokenizer: Any) -> bool:
    """Whether a text has the same tokens in pieces as whole, cut at the newline behind a role.

    Not where there is no pre-tokenizer (Llama 2), or a space is put before every piece, as in SentencePiece.
    """
    if tokenizer.backend_tokenizer.pre_tokenizer is None:
        return False
    whole, *pieces = (_encode_plain(tokenizer, text) for text in ("user\nA line.", "user\n", "A line."))
    if whole != pieces[0] + pieces[1]:
        return False
    return whole == list(tokenizer.encode("user\nA line.", add_special_tokens=False))


def _encode_plain(tokenizer: Any, text: str) -> list[int]:
    """Encodes a text without the tokenizer's added tokens, and without changing its state.

    `tokenizer(text, split_special_tokens=True)` is not enough: it still matches the added tokens that are not marked
    special, which in Qwen's tokenizer are `<tool_call>`, `<|fim_prefix|>` and six more.
    """
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = backend.pre_tokenizer.pre_tokenize_str(text)
    return [token.id for word, _ in words for token in backend.model.tokenize(word)]


def _without_added_tokens(tokenizer: Any) -> Tokenizer:
    """A copy in which every text is plain, as to `_encode_plain`; it takes a second to make, and is fast in batches."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps({**content, "added_tokens": [], "post_processor": None}))


def _encode_batch(plain: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in plain.encode_batch_fast(list(texts), add_special_tokens=False)]
