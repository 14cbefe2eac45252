"""What the Chat tab does when a visitor asks: check the line, stream the answer, stop when the visitor stops.

Nothing that a browser sends is trusted: the history lives in the visitor's session on the server, and the length of a
line and the bounds of the sampling are checked here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.engine.openai_formats import EngineError
from chat.generate import FinishReason, Partial
from chat.sampling import Sampling
from chat.template import Message, build_prompt

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine

VARIANT_LABELS = {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}
ENDINGS = {
    FinishReason.END_OF_TURN: "Ended by itself after {}.",
    FinishReason.END_OF_TEXT: "Came to the end of a text, not of a turn, after {}.",
    FinishReason.UNNAMED_STOP: "Ended after {}.",
    FinishReason.LENGTH: "Did not end by itself: cut at {}.",
}
MAX_CHARACTERS = 500  # of one line of a visitor
MAX_SCENE = 300  # characters as well
MAX_HISTORY = 100  # messages kept for one visitor
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class ChatHandlers:
    """What the Chat tab does when it is asked; `engine` streams, `context_turns` is how many messages a model reads."""

    engine: LocalEngine | RemoteEngine
    context_turns: int

    def chat(
        self,
        message: str,
        who: str,
        temperature: float,
        top_k: int,
        top_p: float,
        history: list[Message],
        seed: int | None = None,
        scene: str = "",
    ) -> Iterator[Any]:
        """Answer one line of dialogue with one variant: base, sft or dpo.

        Returns the conversation, an empty text box, and a note on how the answer ended. The conversation lives in the
        session; a seed makes an answer repeatable, a scene joins the system prompt.
        """
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        turns = [*history, {"role": "user", "content": line}][-MAX_HISTORY:]
        prompt = in_scene(build_prompt(turns, self.context_turns), scene)
        sampling = visitor_sampling(temperature, top_k, top_p)
        yield as_script(turns), "", "", gr.skip()
        yield from self.answer(turns, prompt, who, sampling, seed_of(seed))

    def again(
        self,
        who: str,
        temperature: float,
        top_k: int,
        top_p: float,
        history: list[Message],
        seed: int | None = None,
        scene: str = "",
    ) -> Iterator[Any]:
        """Answer the latest line again, in the variant that is chosen now. Streams what `chat` streams."""
        turns = up_to_latest_line(history)
        if not turns:
            gr.Info("Nothing has been said yet.")
            yield gr.skip()
            return
        prompt = in_scene(build_prompt(turns, self.context_turns), scene)
        sampling = visitor_sampling(temperature, top_k, top_p)
        yield as_script(turns), gr.skip(), "", gr.skip()
        yield from self.answer(turns, prompt, who, sampling, seed_of(seed))

    def answer(
        self, turns: list[Message], prompt: list[Message], who: str, sampling: Sampling, seed: int | None
    ) -> Iterator[Any]:
        """Streams (messages to show, text box, note, history); a stop closes it."""
        started = time.perf_counter()
        with closing(streamed(self.engine, prompt, [who], sampling, seed)) as answers:
            for (answer,) in answers:
                answered = [*turns, {"role": "assistant", "content": answer.text, "voice": who}]
                note = ending(answer, time.perf_counter() - started)
                yield as_script(answered), gr.skip(), note, answered


def streamed(
    engine: LocalEngine | RemoteEngine, prompt: list[Message], variants: list[str], sampling: Sampling, seed: int | None
) -> Generator[list[Partial], None, None]:
    """What each variant says to a prompt, as it comes. A server in trouble is one line of the log, and one for him."""
    try:
        with closing(engine.stream([prompt] * len(variants), variants, sampling, seed)) as answers:
            yield from answers
    except EngineError as error:
        print(f"engine: {error}", flush=True)
        reason = "The models do not answer just now. Please try again in a moment."
        raise gr.Error(reason, title="Not there", print_exception=False) from None


def undo(history: list[Message]) -> tuple[Any, ...]:
    """Takes back the latest line and its answer. Returns (messages to show, note, history)."""
    left = up_to_latest_line(history)[:-1]
    return as_script(left), "", left


def edit(history: list[Message]) -> tuple[Any, ...]:
    """As `undo`, with the line in the text box: returns (messages to show, text box, note, history)."""
    turns = up_to_latest_line(history)
    if not turns:
        return as_script([]), gr.skip(), "", []
    return as_script(turns[:-1]), turns[-1]["content"], "", turns[:-1]


def up_to_latest_line(history: list[Message]) -> list[Message]:
    """The conversation without what came after the visitor's latest line; [] where there is none."""
    last = max((place for place, turn in enumerate(history) if turn["role"] == "user"), default=-1)
    return history[: last + 1]


def visitor_line(message: str) -> str:
    """The line without outer white space; "" and a hint when there is none. Raises gr.Error when it is too long."""
    line = (message or "").strip()
    if len(line) > MAX_CHARACTERS:
        reason = f"That line has {len(line)} characters; the models read at most {MAX_CHARACTERS}. Please shorten it."
        raise gr.Error(reason, title="Too long", print_exception=False)
    if not line:
        gr.Info("Type a line first, or pick one of the examples.")
    return line


def in_scene(prompt: list[Message], scene: str) -> list[Message]:
    """The prompt with the visitor's scene after the system prompt. Raises gr.Error for one that is too long."""
    setting = " ".join((scene or "").split())
    if len(setting) > MAX_SCENE:
        reason = f"That scene has {len(setting)} characters; it takes at most {MAX_SCENE}. Please shorten it."
        raise gr.Error(reason, title="Too long", print_exception=False)
    system, *turns = prompt
    return [{**system, "content": f"{system['content']} The scene: {setting}"}, *turns] if setting else prompt


def visitor_sampling(temperature: float, top_k: int, top_p: float) -> Sampling:
    """The visitor's sampling; raises gr.Error for a value outside its bounds."""
    try:
        return Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    except ValueError as error:
        raise gr.Error(str(error), title="Sampling", print_exception=False) from None


def seed_of(seed: float | None) -> int | None:
    """The visitor's seed, if there is one; raises gr.Error for what is none."""
    if seed is None:
        return None
    if int(seed) != seed or not 0 <= seed <= MAX_SEED:
        reason = f"A seed is a whole number from 0 to {MAX_SEED}, or nothing."
        raise gr.Error(reason, title="Seed", print_exception=False)
    return int(seed)


def as_script(history: list[Message]) -> list[dict[str, str]]:
    """The conversation as a page of a script: each reply under the name of the variant that gave it.

    The component shows text as HTML even when Markdown is off, and would load a visitor's image: so all is escaped.
    """
    cues = (f"<small>{VARIANT_LABELS[turn['voice']]}</small>\n" if "voice" in turn else "" for turn in history)
    return [
        {"role": turn["role"], "content": cue + escape(turn["content"], quote=False)}
        for cue, turn in zip(cues, history, strict=True)
    ]


def ending(answer: Partial, seconds: float) -> str:
    """Describes the finish reason of a reply, its time and its speed; "" while it is not done."""
    if not answer.done or answer.finish_reason is None:
        return ""
    tokens = "1 token" if answer.tokens == 1 else f"{answer.tokens} tokens"
    reason = ENDINGS[answer.finish_reason].format(tokens)
    return f"{reason} {seconds:.1f} s, {answer.tokens / max(seconds, 1e-3):.0f} tokens/s."
