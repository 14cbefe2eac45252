"""Chat template: messages in the four forms that they are needed in; text can never become a control token in ours.

| form | for | what a person wrote |
|---|---|---|
| `tokenizer.chat_template`, Jinja | whoever downloads an adapter | as `apply_chat_template` reads it |
| `encode_prompt`, `encode_reply`, token ids | generation, likelihoods, servers that take ids | characters alone |
| `encode_pairs`, token ids of many pairs at once | training | characters alone |
| `render_text`, text | servers that take text alone | control tokens are broken up by a space |

A base without a template, or with ChatML's, is asked in ChatML by `CHAT_TEMPLATE`; one with another keeps it, and has
our system message put in (`chat/own_format.py`). ChatML is encoded piece by piece where a tokenizer allows it (those of
bytes with a pre-tokenizer), else in one piece as the templates of others are. `tests/chat/test_template.py`,
`test_chatml.py` and `test_own_format.py` hold the forms to each other.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from chat.chat_format import ChatFormat, ChatFormatError, EncodedPairs, PairTexts
from chat.chat_format import Message as Message
from chat.chatml import ChatML, encodes_in_pieces
from chat.own_format import MARK, OwnFormat, with_system

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM_PROMPT = "Answer with one realistic, natural line of film dialogue."
START, STOP, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
END_OF_TEXT = (PAD, "<|end_of_text|>", "<eos>", "</s>")  # of the tokenizers that are about

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
    """Sets chat template, EOS (the end of a turn) and padding, in place; again, it changes nothing.

    A base without a template, or with ChatML's, gets ours, `<|im_end|>` and `<|endoftext|>`; ChatML's tokens are added
    where it has none (`chat.embeddings` makes room for them). One with another keeps it, behind a prelude that puts our
    system message in; it is padded with its own padding, or else with a token that ends no turn. Raises ChatFormatError
    for a base without a fast tokenizer, or to which the tokens cannot be added.
    """
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ChatFormatError(
            f"{tokenizer.name_or_path} has a tokenizer in Python alone ({type(tokenizer).__name__}); "
            "take a base with a tokenizer.json"
        )
    if is_chatml(tokenizer):
        _add_chat_tokens(tokenizer)
        tokenizer.chat_template, end = CHAT_TEMPLATE, STOP
        if not encodes_in_pieces(tokenizer):
            tokenizer.chat_template = with_system(tokenizer, SYSTEM_PROMPT)
        padding = PAD if _has(tokenizer, PAD) else _padding(tokenizer, end)
    else:
        if not _is_own(tokenizer):
            tokenizer.chat_template = with_system(tokenizer, SYSTEM_PROMPT)
        end = chat_format(tokenizer).end_of_turn
        padding = _padding(tokenizer, end)
    tokenizer.eos_token, tokenizer.pad_token = end, padding
    return tokenizer


def missing_tokens(tokenizer: Any) -> list[str]:
    """ChatML's two tokens, as far as a tokenizer that is asked in ChatML has them not."""
    return [token for token in (START, STOP) if is_chatml(tokenizer) and not _has(tokenizer, token)]


def is_chatml(tokenizer: Any) -> bool:
    """Whether a base is asked in ChatML: it has no template, or one that renders a conversation as `CHAT_TEMPLATE`."""
    if not tokenizer.chat_template:
        return True
    if _is_own(tokenizer):
        return False
    scene = [{"role": role, "content": f"the {role}'s"} for role in ("system", "user", "assistant", "user")]
    for length, opened in ((3, False), (4, True)):
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": opened}
        ours = tokenizer.apply_chat_template(scene[:length], chat_template=CHAT_TEMPLATE, **options)
        try:
            if tokenizer.apply_chat_template(scene[:length], **options) != ours:
                return False
        except Exception:  # what a template raises is its own affair
            return False
    return True


def chat_format(tokenizer: Any) -> ChatFormat:
    """The chat format of a tokenizer, as `configure_tokenizer` leaves it."""
    if _is_own(tokenizer):
        return _own_format(tokenizer, tokenizer.chat_template)
    return ChatML(tokenizer, START, STOP)


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
    """Encodes messages up to where the reply begins, in ChatML `<|im_start|>assistant` and its newline.

    The control tokens are the template's alone; what people wrote is plain text, so that `<|im_end|>` in a message
    stays ten characters. For other text the ids are those of `apply_chat_template(messages,
    add_generation_prompt=True)`.
    """
    return chat_format(tokenizer).encode_prompt(messages)


def encode_reply(tokenizer: Any, reply: str) -> list[int]:
    """Encodes a reply as plain text, and the token that ends its turn."""
    return chat_format(tokenizer).encode_reply(reply)


def encode_pairs(tokenizer: Any, pairs: PairTexts) -> EncodedPairs:
    """Encodes pairs for training: each is `encode_prompt` of its messages and `encode_reply` of its reply."""
    return chat_format(tokenizer).encode_pairs(pairs)


def render_text(tokenizer: Any, messages: list[Message]) -> str:
    """Renders a prompt as text, in which what people wrote can be no control token.

    A BOS is left out where the tokenizer puts it before every text, as a server then does.
    """
    text = chat_format(tokenizer).render_prompt(broken_messages(tokenizer, messages))
    bos = tokenizer.bos_token
    return text.removeprefix(bos) if bos and tokenizer.encode("")[:1] == [tokenizer.bos_token_id] else text


def broken_messages(tokenizer: Any, messages: list[Message]) -> list[Message]:
    """The messages with every control token in what people wrote broken up."""
    return [{**message, "content": break_control_tokens(tokenizer, message["content"])} for message in messages]


def break_control_tokens(tokenizer: Any, text: str) -> str:
    """Puts a space behind the first character of every control token in a text: `< |im_end|>` is nobody's token.

    All added tokens count, for `<tool_call>` of Qwen's tokenizer is not marked as special, but for runs of white space.
    Taking them apart may bring a new one about, so it is done until there is none.
    """
    tokens = [token for token in tokenizer.get_added_vocab() if len(token) > 1 and token.strip()]
    while found := next((token for token in tokens if token in text), None):
        text = text.replace(found, f"{found[0]} {found[1:]}")
    return text


def stop_ids(tokenizer: Any) -> dict[str, int]:
    """Ids of the stop tokens, by the names of ChatML's: the format's own end of turn, and the end of a text.

    A token that is both is the end of a turn; a tokenizer may have no other.
    """
    end = chat_format(tokenizer).end_of_turn
    text = next((token for token in END_OF_TEXT if token != end and _has(tokenizer, token)), None)
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in ((STOP, end), (PAD, text)) if token}


def load_tokenizer(repo: str, revision: str | None) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a model with its chat format; the revision is a branch, tag or commit, None is main."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = configure_tokenizer(AutoTokenizer.from_pretrained(repo, revision=revision))
    return tokenizer


def _add_chat_tokens(tokenizer: Any) -> None:
    if missing := missing_tokens(tokenizer):
        taken = set(tokenizer.get_vocab().values())
        tokenizer.add_tokens(missing, special_tokens=True)
        if taken & set(tokenizer.convert_tokens_to_ids(missing)):  # the library numbers them by how many there are
            raise ChatFormatError(
                f"{tokenizer.name_or_path} has no {' and '.join(missing)}, and they cannot be added: its tokens are "
                "not numbered through; take its instruct version, or a base with these tokens, such as Qwen 2.5"
            )


@lru_cache(maxsize=4)
def _own_format(tokenizer: Any, template: str) -> OwnFormat:
    return OwnFormat(tokenizer, own=not template.endswith(CHAT_TEMPLATE))


def _is_own(tokenizer: Any) -> bool:
    return isinstance(tokenizer.chat_template, str) and tokenizer.chat_template.startswith(MARK)


def _has(tokenizer: Any, token: str) -> bool:
    return tokenizer.backend_tokenizer.token_to_id(token) is not None


def _padding(tokenizer: Any, end: str) -> str:
    """A token to pad with: not the end of a turn where there is another, for a reward is read at the last token."""
    own = (tokenizer.pad_token, tokenizer.eos_token, *filter(partial(_has, tokenizer), END_OF_TEXT))
    return next((token for token in (*own, tokenizer.unk_token, tokenizer.bos_token) if token and token != end), end)
