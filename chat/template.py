"""The prompt contract: one system sentence, ChatML, and text that can never become a control token."""

from __future__ import annotations

from typing import Any

SYSTEM_PROMPT = "Answer with one realistic, natural line of film dialogue."
STOP, PAD = "<|im_end|>", "<|endoftext|>"
Message = dict[str, str]

# ChatML as Qwen writes it. Without a system message ours is put in, so that a downloaded adapter is asked as it was trained.
CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\n" + SYSTEM_PROMPT + "<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def adopt(tokenizer: Any) -> Any:
    """Gives a tokenizer our template, `<|im_end|>` as its end and `<|endoftext|>` as its padding, in place."""
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.eos_token = STOP
    tokenizer.pad_token = PAD
    return tokenizer


def messages(history: list[Message], context_turns: int) -> list[Message]:
    """Returns the system prompt and the last `context_turns` messages, the latest of which is the user's."""
    return [{"role": "system", "content": SYSTEM_PROMPT}, *history[-context_turns:]]


def encode_prompt(tokenizer: Any, messages: list[Message]) -> list[int]:
    """Encodes messages up to and including `<|im_start|>assistant` and its newline.

    The control tokens are put in by id; what people wrote is encoded with special tokens off, so that `<|im_end|>`
    in a message stays ten characters of text.
    """
    start, stop = tokenizer.convert_tokens_to_ids(["<|im_start|>", STOP])
    ids: list[int] = []
    for message in messages:
        ids += [start, *_plain(tokenizer, f"{message['role']}\n{message['content']}"), stop, *_plain(tokenizer, "\n")]
    return [*ids, start, *_plain(tokenizer, "assistant\n")]


def encode_reply(tokenizer: Any, reply: str) -> list[int]:
    """Encodes a reply and the `<|im_end|>` that ends it."""
    return [*_plain(tokenizer, reply), tokenizer.convert_tokens_to_ids(STOP)]


def stop_ids(tokenizer: Any) -> dict[str, int]:
    """The two tokens that end a reply, by name: only the first is the model's own end of turn."""
    return {token: tokenizer.convert_tokens_to_ids(token) for token in (STOP, PAD)}


def _plain(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
