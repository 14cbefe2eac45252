"""What the Chat tab does when a visitor asks: check the line, stream all three answers, stop when the visitor stops.

Nothing that a browser sends is trusted: the history lives in the visitor's session on the server, and the length of a
line and the bounds of the sampling are checked here.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.engine.openai_formats import EngineError
from chat.generate import FinishReason, Partial
from chat.sampling import Sampling
from chat.template import Message, build_prompt
from chat.variants import VARIANTS
from space.conversation import DraftReply, Exchange, messages, say
from space.script_page import latest_turn, past_turns, whole_draft

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine

ENDINGS = {
    FinishReason.END_OF_TURN: "Ended by itself after {}.",
    FinishReason.END_OF_TEXT: "Came to the end of a text, not of a turn, after {}.",
    FinishReason.UNNAMED_STOP: "Ended after {}.",
    FinishReason.LENGTH: "Did not end by itself: cut at {}.",
}
HALF_WRITTEN = "Send or clear what you have begun to write; then your last line can come back to be edited."
STARTING = "The models are being started; your line is answered when they are there. {:.0f} seconds so far."
TELL_EVERY = 10  # seconds
MAX_CHARACTERS = 500  # of one line of a visitor
MAX_SCENE = 300  # characters as well
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class ChatHandlers:
    """What the Chat tab does when it is asked; `engine` streams, `context_turns` is how many messages a model reads."""

    engine: LocalEngine | RemoteEngine
    context_turns: int
    variants: tuple[str, ...] = VARIANTS
    """Those that answer here."""

    def chat(
        self,
        message: str,
        who: str,
        temperature: float,
        top_k: int,
        top_p: float,
        history: list[Exchange],
        seed: str = "",
        scene: str = "",
    ) -> Iterator[Any]:
        """Answers one line of dialogue with all variants in one batch; `who` is the one that is shown just now.

        Streams (the conversation before, its latest turn, an empty text box, a note on how it ended, history). The
        conversation lives in the session, with the line from the moment it is shown; a seed makes an answer
        repeatable, a scene joins the system prompt.
        """
        line = visitor_line(message)
        if not line:
            yield gr.skip()
            return
        history = say(history, line, who)
        asked = self.asked(history, temperature, top_k, top_p, seed, scene)
        yield past_turns(history), latest_turn(history), "", "", history
        yield from self.answer(history, *asked)

    def again(
        self,
        temperature: float,
        top_k: int,
        top_p: float,
        history: list[Exchange],
        seed: str = "",
        scene: str = "",
    ) -> Iterator[Any]:
        """Answers the latest line once more, beside the drafts that there are. Streams what `chat` streams."""
        if not history:
            gr.Info("Nothing has been said yet.")
            yield gr.skip()
            return
        asked = self.asked(history, temperature, top_k, top_p, seed, scene)
        yield gr.skip(), gr.skip(), gr.skip(), "", gr.skip()
        yield from self.answer(history, *asked)

    def asked(
        self, history: list[Exchange], temperature: float, top_k: int, top_p: float, seed: str, scene: str
    ) -> tuple[list[Message], Sampling, int]:
        """The prompt, the sampling and the seed of an answer; a seed is drawn where none is given, and is told."""
        prompt = in_scene(build_prompt(messages(history), self.context_turns), scene)
        known = seed_of(seed)
        return (
            prompt,
            visitor_sampling(temperature, top_k, top_p),
            secrets.randbelow(MAX_SEED) if known is None else known,
        )

    def answer(self, history: list[Exchange], prompt: list[Message], sampling: Sampling, seed: int) -> Iterator[Any]:
        """Streams (conversation before, latest turn, text box, note, history); a stop closes it."""
        started, variants, notes = time.perf_counter(), list(self.variants), dict.fromkeys(self.variants, "")
        with closing(streamed(self.engine, prompt, variants, sampling, seed)) as answers:
            for row in answers:
                seconds = time.perf_counter() - started
                for variant, answer in zip(variants, row, strict=True):
                    if ended := ending(answer, seconds):
                        notes[variant] = notes[variant] or f"{ended} Seed {seed}."
                texts = zip(variants, row, strict=True)
                draft = {variant: DraftReply(answer.text, notes[variant]) for variant, answer in texts}
                now = [*history[:-1], history[-1].with_draft(draft)]
                tokens = sum(answer.tokens for answer in row)
                note = (
                    f"All {'three ' if len(variants) > 2 else ''}have answered: {tokens} tokens in {seconds:.1f} s."
                    if whole_draft(draft)
                    else ""
                )
                yield gr.skip(), latest_turn(now), gr.skip(), note, now


def streamed(
    engine: LocalEngine | RemoteEngine, prompt: list[Message], variants: list[str], sampling: Sampling, seed: int | None
) -> Generator[list[Partial], None, None]:
    """What each variant says to a prompt, as it comes. A server in trouble is one line of the log, and one for him.

    While a server is starting he is told every TELL_EVERY seconds how long it has taken.
    """
    started, told = time.perf_counter(), 0.0
    try:
        with closing(engine.stream([prompt] * len(variants), variants, sampling, seed)) as answers:
            for row in answers:
                waited = time.perf_counter() - started
                if any(answer.waiting for answer in row) and waited >= told:
                    gr.Info(STARTING.format(waited), title="Starting", duration=TELL_EVERY)
                    told = waited + TELL_EVERY
                yield row
    except EngineError as error:
        print(f"engine: {error}", flush=True)
        reason = "The models do not answer just now. Please try again in a moment."
        raise gr.Error(reason, title="Not there", print_exception=False) from None


def undo(history: list[Exchange]) -> tuple[Any, ...]:
    """Takes back the latest line and its answers. Returns (conversation before, latest turn, note, history)."""
    left = [*history[:-2], replace(history[-2], chosen="")] if len(history) > 1 else []
    return past_turns(left), latest_turn(left), "", left


def edit(history: list[Exchange], draft: str) -> tuple[Any, ...]:
    """As `undo`, with the line in the text box, unless something else stands there.

    Returns (conversation before, latest turn, text box, note, history).
    """
    if not history:
        return (gr.skip(),) * 5
    if (draft or "").strip():
        return gr.skip(), gr.skip(), gr.skip(), HALF_WRITTEN, gr.skip()
    before, latest, note, left = undo(history)
    return before, latest, history[-1].line, note, left


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


def seed_of(seed: str | float | None) -> int | None:
    """The seed that a visitor typed or a program sent, None where there is none; raises gr.Error for what is none."""
    text = "" if seed is None else str(seed).strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,10}(\.0)?", text, re.ASCII) or int(float(text)) > MAX_SEED:
        reason = f"seed is {text[:20]}; it takes a whole number from 0 to {MAX_SEED}, or nothing."
        raise gr.Error(reason, title="Seed", print_exception=False)
    return int(float(text))


def ending(answer: Partial, seconds: float) -> str:
    """Describes the finish reason of a reply, its time and its speed; "" while it is not done."""
    if not answer.done or answer.finish_reason is None:
        return ""
    tokens = "1 token" if answer.tokens == 1 else f"{answer.tokens} tokens"
    reason = ENDINGS[answer.finish_reason].format(tokens)
    return f"{reason} {seconds:.1f} s, {answer.tokens / max(seconds, 1e-3):.0f} tokens/s."
