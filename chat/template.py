"""Chat template (ChatML) in the four forms that it is needed in; text can never become a control token in any of ours.

| form | for | what a person wrote |
|---|---|---|
| `CHAT_TEMPLATE`, Jinja | whoever downloads an adapter | as `apply_chat_template` reads it |
| `encode_prompt`, `encode_reply`, token ids | generation, likelihoods, servers that take ids | characters alone |
| `encode_pairs`, token ids of many pairs at once | training | characters alone |
| `render_text`, text | servers that take text alone | control tokens are broken up by a space |

`tests/chat/test_template.py` holds all of them to each other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

SYSTEM_PROMPT = "Answer with one realistic, natural line of film dialogue."
START, STOP, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}

# ChatML as Qwen writes it. Where there is no system message ours is put in, so that a downloaded adapter is asked as
# it was trained.
CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}"
    f"{{{{- '<|im_start|>system\\n{SYSTEM_PROMPT}<|im_end|>\\n' }}}}"
    "{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def configure_tokenizer(tokenizer: Any) -> Any:
    """Sets our chat template, `<|im_end|>` as EOS and `<|endoftext|>` as padding, in place."""
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.eos_token = STOP
    tokenizer.pad_token = PAD
    return tokenizer


def build_prompt(history: list[Message], context_turns: int) -> list[Message]:
    """Builds a prompt: our system prompt and the `context_turns` messages up to and with the latest of the user's.

    Whatever follows the user's latest message is left out, and so is any system message in the history. Raises
    ValueError where the user has said nothing or `context_turns` is below 1.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in history if turn["role"] != "system"]
    while turns and turns[-1]["role"] != "user":
        turns.pop()
    if not turns:
        raise ValueError("the history holds no message of the user's; there is nothing to answer")
    if context_turns < 1:
        raise ValueError(f"context_turns is {context_turns}; a model reads at least the latest message, so 1 or more")
    return [{"role": "system", "content": SYSTEM_PROMPT}, *turns[-context_turns:]]


def encode_prompt(tokenizer: Any, messages: list[Message]) -> list[int]:
    """Encodes messages up to and including `<|im_start|>assistant` and its newline.

    The control tokens are put in by id; what people wrote is plain text, so that `<|im_end|>` in a message stays ten
    characters. For other text the ids are those of `apply_chat_template(messages, add_generation_prompt=True)`.
    """
    start, stop = tokenizer.convert_tokens_to_ids([START, STOP])
    newline = _encode_plain(tokenizer, "\n")
    ids: list[int] = []
    for message in messages:
        ids += [start, *_encode_plain(tokenizer, f"{message['role']}\n{message['content']}"), stop, *newline]
    return [*ids, start, *_encode_plain(tokenizer, "assistant\n")]


def encode_reply(tokenizer: Any, reply: str) -> list[int]:
    """Encodes a reply as plain text, and the `<|im_end|>` that ends it."""
    return [*_encode_plain(tokenizer, reply), tokenizer.convert_tokens_to_ids(STOP)]


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


def encode_pairs(
    tokenizer: Any,
    roles: Sequence[str],
    texts: Sequence[str],
    message_roles: np.ndarray,
    message_texts: np.ndarray,
    offsets: np.ndarray,
    reply_texts: np.ndarray,
) -> EncodedPairs:
    """Encodes pairs for training: each is `encode_prompt` of its messages and `encode_reply` of its reply.

    Every distinct text is tokenized once. A message is a row of pieces: its head (`<|im_start|>`, role, newline), its
    text and its tail (`<|im_end|>`, newline), where the tail of a reply is `<|im_end|>` alone.

    Args:
        tokenizer: as `configure_tokenizer` leaves it.
        roles: distinct roles.
        texts: distinct texts of messages and replies.
        message_roles: (messages,), of all prompts one after the other, as indices into `roles`.
        message_texts: (messages,), the same into `texts`.
        offsets: (pairs + 1,), the messages of pair i are those from offsets[i] to offsets[i + 1].
        reply_texts: (pairs,), as indices into `texts`.
    """
    import numpy as np

    plain = _without_added_tokens(tokenizer)
    start, stop = tokenizer.convert_tokens_to_ids([START, STOP])
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

    pairs = np.arange(len(reply_texts))
    pair_of = np.repeat(pairs, np.diff(offsets))
    message = 3 * (np.arange(len(pair_of)) + pair_of)  # where its pieces start: a reply's three follow each prompt
    reply = 3 * (offsets[1:] + pairs)
    order = np.empty(3 * (len(pair_of) + len(pairs)), dtype=np.int64)
    order[message], order[message + 1], order[message + 2] = message_heads, message_texts, tail
    order[reply], order[reply + 1], order[reply + 2] = answer_head, reply_texts, end

    sizes = np.array([len(piece) for piece in pieces])
    flat = np.fromiter((token for piece in pieces for token in piece), dtype=np.int32, count=int(sizes.sum()))
    starts, lengths = (np.cumsum(sizes) - sizes)[order], sizes[order]
    positions = np.cumsum(lengths) - lengths
    tokens = flat[np.arange(lengths.sum()) + np.repeat(starts - positions, lengths)]
    trained = np.zeros(len(order), dtype=bool)
    trained[reply + 1] = trained[reply + 2] = True
    of_pair = np.add.reduceat(lengths, reply - 3 * np.diff(offsets)) if len(pairs) else np.empty(0, np.int64)
    return EncodedPairs(tokens, np.repeat(trained, lengths), of_pair, lengths[reply + 1] + lengths[reply + 2])


def render_text(tokenizer: Any, messages: list[Message]) -> str:
    """Renders a prompt as text, in which what people wrote can be no control token."""
    turns = (
        f"{START}{message['role']}\n{break_control_tokens(tokenizer, message['content'])}{STOP}\n"
        for message in messages
    )
    return "".join(turns) + f"{START}assistant\n"


def break_control_tokens(tokenizer: Any, text: str) -> str:
    """Puts a space behind the first character of every control token in a text: `< |im_end|>` is nobody's token.

    All added tokens count, for `<tool_call>` of Qwen's tokenizer is not marked as special. Taking them apart may bring
    a new one about, so it is done until there is none.
    """
    tokens = [token for token in tokenizer.get_added_vocab() if len(token) > 1]
    while found := next((token for token in tokens if token in text), None):
        text = text.replace(found, f"{found[0]} {found[1:]}")
    return text


def stop_ids(tokenizer: Any) -> dict[str, int]:
    """Ids of the two stop tokens, by name: only the first is the model's own end of turn."""
    return {token: tokenizer.convert_tokens_to_ids(token) for token in (STOP, PAD)}


def load_tokenizer(repo: str, revision: str | None) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a model with our template; the revision is a branch, tag or commit, None is main."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = configure_tokenizer(AutoTokenizer.from_pretrained(repo, revision=revision))
    return tokenizer


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
