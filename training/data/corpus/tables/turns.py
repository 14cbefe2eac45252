"""Turns of a chat row, whatever its shape: decided in one place for every table.

The turns of a row are a list, of plain texts or of messages, or the same stored by column, as `datasets` stores a list
of messages: `{"role": [...], "content": [...]}`. A message has its text in one of `TEXT_KEYS`: a text, a list of parts
(of which those of text are joined), or null. What is no dialogue is told by its role, its type or what it calls.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

TEXT_KEYS = ("content", "value", "text", "utterance", "message")
ROLE_KEYS = ("role", "from", "speaker", "sender", "author")
NAME_KEYS = ("name", "speaker", "sender", "author")
CALL_KEYS = ("tool_calls", "function_call")
ADDRESS_KEYS = ("recipient", "channel")
"""To whom a turn of a tool's or of thinking is said, as OpenAI's models write it."""
SHAPES_READ = (
    f"a list of texts, a list of messages with one of {', '.join(TEXT_KEYS)}, or such a list stored by column "
    '({"role": [...], "content": [...]})'
)

_SYSTEM = re.compile("system|developer|instructions?")
_TOOL = re.compile(
    r"(tool|function|plugin)s?(_?(call|use|response|result|output|return|message)s?)*|(tool|function|plugin)s?_\w+"
    "|observations?|i?python|environment|code_interpreter|execution|browser|retriev(al|er|ed)|documents?|context"
    "|reasoning|thinking|analysis|commentary"
)
_THINKING = re.compile(
    r"(<(think|thinking|reasoning)>|\A(?=(?:(?!<think).)*</think>)).*?(</(think|thinking|reasoning)>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_TOOL_TAG = re.compile(r"[<\[]\|?(tool|function)(_?(call|response|result|output)s?)?[>|\]=\s]", re.IGNORECASE)
_ASSISTANTS = ("gpt", "bot", "chatbot", "model", "ai")
_SAME_ROLE = {"human": "user", "prompter": "user", **dict.fromkeys(_ASSISTANTS, "assistant")}
_TEXT_PARTS = (None, "text", "input_text", "output_text")


class ShapeError(ValueError):
    """The turns of a row stand in a shape that is not read; `args` are the reason to count and what was seen."""


class Turn(NamedTuple):
    """One turn of a conversation."""

    text: str
    """Empty where there is none."""
    role: str | None = None
    name: str | None = None
    left_out: str | None = None
    """What it is, where it is no dialogue: `system` or `tool`."""

    @property
    def speaker(self) -> str:
        """Who says it: the name, else the role, else "?"."""
        return self.name or self.role or "?"

    def follows_itself(self, before: Turn) -> bool:
        """Whether both are known to be of one speaker. By the role alone where one of them has no name."""
        if self.role is None and before.role is None:
            return self.name is not None and self.name == before.name
        names = {self.name, before.name} - {None}
        return _role_of(self.role) == _role_of(before.role) and len(names) < 2


def turns_of(value: Any, counts: Counter[str]) -> list[Turn]:
    """Turns from the column that holds them; parts and texts that are not read are counted.

    Raises:
        ShapeError: the column holds something else.
    """
    if isinstance(value, Mapping):
        value = by_row(value)
    if not isinstance(value, list | tuple):
        raise ShapeError("rows without a list of turns", f"the turns of a row are {spell_shape(value)}")
    return [turn_of(message, counts) for message in value]


def by_row(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Messages that are stored by column, as a list. Raises ShapeError where the columns do not go together."""
    lists = {name: column for name, column in columns.items() if isinstance(column, list | tuple)}
    lengths = {len(column) for column in lists.values()}
    if not lists or any(column is not None for name, column in columns.items() if name not in lists):
        raise ShapeError("rows without a list of turns", f"the turns of a row are {spell_shape(columns)}")
    if len(lengths) > 1:
        raise ShapeError("rows whose columns of turns differ in length", f"the turns are {spell_shape(columns)}")
    return [{name: column[place] for name, column in lists.items()} for place in range(*lengths)]


def turn_of(message: Any, counts: Counter[str]) -> Turn:
    """One turn. What is no text reads as an empty one, which ends the conversation there."""
    if message is None or isinstance(message, str):
        return Turn(message or "")
    if not isinstance(message, Mapping):
        counts["turns that are neither text nor message"] += 1
        return Turn("")
    role, name = (first_text(message, keys) for keys in (ROLE_KEYS, NAME_KEYS))
    value = next((message[key] for key in TEXT_KEYS if message.get(key) is not None), None)
    text = text_of(value, counts)
    if text is None:
        counts["turns whose text is not read"] += 1
    text = without_thinking(text or "", counts)
    calls = not text.strip() and any(message.get(key) for key in CALL_KEYS)
    kind = first_text(message, ("type",))
    if role is None and kind and _role_of(kind) in ("user", "assistant"):  # LangChain's
        role = kind
    kinds = filter(None, (role, kind, *(first_text(message, (key,)) for key in ADDRESS_KEYS)))
    return Turn(text, role, name, "tool" if calls else left_out(kinds, text))


def without_thinking(text: str, counts: Counter[str]) -> str:
    """What is said after thinking, which stands in tags (`<think>`); of some the opening one is in the prompt."""
    said = _THINKING.sub(" ", text) if "<" in text else text
    if said != text:
        counts["turns with thinking taken out"] += 1
    return said


def left_out(kinds: Iterable[str], text: str) -> str | None:
    """What a turn is that is no dialogue, by its role, its type and whom it is for, or by a tag in its text."""
    folded = [re.sub(r"[\W_]+", "_", kind.casefold()) for kind in kinds]
    if any(_SYSTEM.fullmatch(kind) for kind in folded):
        return "system"
    return "tool" if any(_TOOL.fullmatch(kind) for kind in folded) or _TOOL_TAG.search(text) else None


def text_of(value: Any, counts: Counter[str]) -> str | None:
    """Text of a message: itself, or its parts of text joined by a space; the others are counted by their type.

    Returns:
        None where it is of no shape that is read. Null, and parts without text, are an empty text.
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, Mapping):
        try:
            value = by_row(value)
        except ShapeError:
            value = [value]
    if not isinstance(value, list | tuple):
        return None
    return " ".join(filter(None, (part_text(part, counts) for part in value)))


def part_text(part: Any, counts: Counter[str]) -> str:
    """Text of one part of a message; empty for parts of another kind, which are counted."""
    if isinstance(part, str):
        return part
    kind = first_text(part, ("type",)) if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and kind in _TEXT_PARTS:
        text = part.get("text")
        text = text.get("value") if isinstance(text, Mapping) else text  # as OpenAI's threads have it
        if isinstance(text, str):
            return text
    named = kind if kind and re.fullmatch(r"[\w-]{1,30}", kind) else "another kind"
    counts[f"parts left out: {named}"] += 1
    return ""


def first_text(message: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    """The first of the keys that has a text or a number in it, as text without outer white space."""
    for key in keys:
        value = message.get(key)
        value = value.get("role") if isinstance(value, Mapping) else value  # an author, as ChatGPT's export has it
        if isinstance(value, str | int) and str(value).strip():
            return str(value).strip()
    return None


def spell_shape(value: Any) -> str:
    """What a value is, in a few words for an error message."""
    if isinstance(value, Mapping):
        return f"an object with {spell_keys(value)}" if value else "an empty object"
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return f"a list of {len(value)}, the first {spell_shape(value[0])}"
    return spell_kind(value)


def spell_keys(value: Mapping[str, Any]) -> str:
    """The keys of an object and what each holds, for an error message."""
    keys = ", ".join(f"{key} ({spell_kind(one)})" for key, one in list(value.items())[:8])
    return " ".join(keys.split())[:300] or "none"


def spell_kind(value: Any) -> str:
    """The kind of a value, without what is in it."""
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} ({spell_kind(value[0])} first)" if value else "an empty list"
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return kinds.get(type(value)) or ("an object" if isinstance(value, Mapping) else type(value).__name__)


def _role_of(role: str | None) -> str | None:
    folded = role and role.casefold()
    return _SAME_ROLE.get(folded, folded) if folded else None
