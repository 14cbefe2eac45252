"""The prompt contract: one system sentence, ChatML, and text that can never become a control token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM_PROMPT = "Answer with one realistic, natural line of film dialogue."
STOP, PAD = "<|im_end|>", "<|endoftext|>"
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
    """Gives a tokenizer our template, `<|im_end|>` as its end and `<|endoftext|>` as its padding, in place."""
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.eos_token = STOP
    tokenizer.pad_token = PAD
    return tokenizer


def build_prompt(history: list[Message], context_turns: int) -> list[Message]:
    """Returns our system prompt and the `context_turns` messages up to and with the latest of the user's.

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
    start, stop = tokenizer.convert_tokens_to_ids(["<|im_start|>", STOP])
    newline = _plain(tokenizer, "\n")
    ids: list[int] = []
    for message in messages:
        ids += [start, *_plain(tokenizer, f"{message['role']}\n{message['content']}"), stop, *newline]
    return [*ids, start, *_plain(tokenizer, "assistant\n")]


def encode_reply(tokenizer: Any, reply: str) -> list[int]:
    """Encodes a reply as plain text, and the `<|im_end|>` that ends it."""
    return [*_plain(tokenizer, reply), tokenizer.convert_tokens_to_ids(STOP)]


def stop_ids(tokenizer: Any) -> dict[str, int]:
    """The two tokens that end a reply, by name: only the first is the model's own end of turn."""
    return {token: tokenizer.convert_tokens_to_ids(token) for token in (STOP, PAD)}


def _plain(tokenizer: Any, text: str) -> list[int]:
    """Runs the tokenizer's parts without its added tokens, and without changing its state.

    `tokenizer(text, split_special_tokens=True)` is not enough: it still matches the added tokens that are not marked
    special, which in Qwen's tokenizer are `<tool_call>`, `<|fim_prefix|>` and six more.
    """
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = backend.pre_tokenizer.pre_tokenize_str(text)
    return [token.id for word, _ in words for token in backend.model.tokenize(word)]


def load_tokenizer(repo: str, revision: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(repo, revision=revision))
