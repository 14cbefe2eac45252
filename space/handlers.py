"""What the page does when a visitor asks: check the line, stream the answers, stop when the visitor stops.

Nothing that a browser sends is trusted: the history lives in the visitor's session on the server, and the length of a
line and the bounds of the sampling are checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.sampling import Sampling
from chat.template import Message, messages

if TYPE_CHECKING:
    from chat.engine import LocalEngine

LABELS = {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}
ENDINGS = {
    "<|im_end|>": "Ended by itself after {}.",
    "<|endoftext|>": "Came to the end of a text, not of a turn, after {}.",
    "length": "Did not end by itself: cut at {}.",
}
MAX_CHARACTERS = 500  # of one line of a visitor
MAX_HISTORY = 100  # messages kept for one visitor


@dataclass(frozen=True)
class Handlers:
    """What the page does when it is asked; `engine` streams, `context_turns` is how many messages a model reads."""

    engine: LocalEngine
    context_turns: int

    def chat(
        self, message: str, who: str, temperature: float, top_k: int, top_p: float, history: list[Message]
    ) -> Iterator[Any]:
        """Answer one line in one voice. Streams (messages to show, text box, note, history); a stop closes it."""
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        asked = [*history, {"role": "user", "content": line}][-MAX_HISTORY:]
        yield shown(asked), "", "", gr.skip()
        prompt = messages(asked, self.context_turns)
        with closing(self.engine.stream([prompt], [who], sampling(temperature, top_k, top_p))) as answers:
            for (answer,) in answers:
                said = [*asked, {"role": "assistant", "content": answer.text, "voice": who}]
                yield shown(said), "", ending(answer), said

    def compare(self, message: str, temperature: float, top_k: int, top_p: float) -> Iterator[Any]:
        """Answer one line in all voices, in one batch. Streams the three replies, then a note for each."""
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        yield [""] * 2 * len(LABELS)
        prompt = messages([{"role": "user", "content": line}], self.context_turns)
        voices = list(LABELS)
        asked = self.engine.stream([prompt] * len(voices), voices, sampling(temperature, top_k, top_p))
        with closing(asked) as answers:
            for row in answers:
                yield [*(answer.text for answer in row), *(ending(answer) for answer in row)]


def visitor_line(message: str) -> str:
    """The line without outer white space; "" and a hint when there is none. Raises gr.Error when it is too long."""
    line = (message or "").strip()
    if len(line) > MAX_CHARACTERS:
        reason = f"That line has {len(line)} characters; the models read at most {MAX_CHARACTERS}. Please shorten it."
        raise gr.Error(reason, title="Too long", print_exception=False)
    if not line:
        gr.Info("Type a line first, or pick one of the examples.")
    return line


def sampling(temperature: float, top_k: int, top_p: float) -> Sampling:
    """The visitor's sampling; raises gr.Error for a value outside its bounds."""
    try:
        return Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    except ValueError as error:
        raise gr.Error(str(error), title="Sampling", print_exception=False) from None


def shown(history: list[Message]) -> list[dict[str, str]]:
    """The conversation as a page of a script: each reply under the name of the voice that gave it.

    The component shows text as HTML even when Markdown is off, and would load a visitor's image: so all is escaped.
    """
    cues = (f"<small>{LABELS[turn['voice']]}</small>\n" if "voice" in turn else "" for turn in history)
    return [
        {"role": turn["role"], "content": cue + escape(turn["content"], quote=False)}
        for cue, turn in zip(cues, history, strict=True)
    ]


def ending(answer: Any) -> str:
    """One sentence on how a finished reply ended; "" while it is not finished."""
    tokens = "1 token" if answer.tokens == 1 else f"{answer.tokens} tokens"
    return ENDINGS[answer.ended].format(tokens) if answer.done else ""
