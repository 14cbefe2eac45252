"""Endpoints for programs, `/chat` and `/compare`: typed functions without a session, over HTTP and as MCP tools.

A program gets plain values by name; what it sends is checked here, before a model is asked, and refused by name.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import gradio as gr

from chat.generate import FinishReason, Partial
from chat.sampling import Sampling
from chat.template import build_prompt
from chat.variants import VARIANTS
from space.chat_handlers import MAX_CHARACTERS, in_scene, seed_of, streamed, visitor_sampling
from space.components import MODEL

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine

DEFAULT = Sampling()


class ProgramReply(TypedDict):
    """What a variant answered."""

    reply: str
    ended: bool
    """Whether it ended by itself, and was not cut at the limit."""
    tokens: int
    """Generated, the end token included."""
    seconds: float
    """From the request to its end; of a comparison, whose rows share their steps, to the end of this row."""


@dataclass(frozen=True)
class Endpoints:
    """The functions that programs may call; `engine` streams, `context_turns` is how many messages a model reads."""

    engine: LocalEngine | RemoteEngine
    context_turns: int
    variants: tuple[str, ...] = VARIANTS

    def chat(
        self,
        line: str,
        variant: str = "dpo",
        temperature: float = DEFAULT.temperature,
        top_k: int = DEFAULT.top_k,
        top_p: float = DEFAULT.top_p,
        seed: int | None = None,
        scene: str = "",
    ) -> ProgramReply:
        """Answer one line of film dialogue with a next line, in the variant base, sft (fine-tuned) or dpo.

        Args:
            line: what was said, at most 500 characters.
            variant: base, sft or dpo.
            temperature: 0 always takes the likeliest token.
            top_k: choose among this many of the likeliest tokens.
            top_p: choose among the likeliest tokens that make up this share of the probability.
            seed: makes the answer repeatable.
            scene: where we are and who speaks; joins the system prompt.

        Returns:
            reply, ended (by itself, or cut at 64 tokens), tokens and seconds.
        """
        if not isinstance(variant, str) or variant not in self.variants:
            raise refused(f"variant is {shown(variant)}; it takes {', '.join(self.variants)}")
        return self.ask([variant], line, temperature, top_k, top_p, seed, scene)[variant]

    def compare(
        self,
        line: str,
        temperature: float = DEFAULT.temperature,
        top_k: int = DEFAULT.top_k,
        top_p: float = DEFAULT.top_p,
        seed: int | None = None,
        scene: str = "",
    ) -> dict[str, ProgramReply]:
        """Answer one line of film dialogue in all variants, base, sft (fine-tuned) and dpo, in one batch.

        Args:
            line: what was said, at most 500 characters.
            temperature: 0 always takes the likeliest token.
            top_k: choose among this many of the likeliest tokens.
            top_p: choose among the likeliest tokens that make up this share of the probability.
            seed: makes the answers repeatable.
            scene: where we are and who speaks; joins the system prompt.

        Returns:
            By variant, its reply, ended, tokens and seconds.
        """
        return self.ask([*self.variants], line, temperature, top_k, top_p, seed, scene)

    def ask(
        self, variants: list[str], line: Any, temperature: Any, top_k: Any, top_p: Any, seed: Any, scene: Any
    ) -> dict[str, ProgramReply]:
        """The replies of some variants to one line, by variant. Raises gr.Error for what cannot be answered."""
        for name, value in (("line", line), ("scene", scene)):
            if not isinstance(value, str):
                raise refused(f"{name} is {shown(value)}; it takes a text")
        numbers = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": 0 if seed is None else seed}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise refused(f"{name} is {shown(value)}; it takes a number")
        if not line.strip():
            raise refused("line is empty; it takes what was said")
        if len(line) > MAX_CHARACTERS:
            raise refused(f"line has {len(line)} characters; it takes at most {MAX_CHARACTERS}")
        sampling = visitor_sampling(temperature, top_k, top_p)
        prompt = in_scene(build_prompt([{"role": "user", "content": line.strip()}], self.context_turns), scene)
        started, found = time.perf_counter(), dict[str, ProgramReply]()
        with closing(streamed(self.engine, prompt, variants, sampling, seed_of(seed))) as answers:
            for row in answers:
                for variant, answer in zip(variants, row, strict=True):
                    if variant not in found and answer.done:
                        found[variant] = program_reply(answer, time.perf_counter() - started)
        return {variant: found[variant] for variant in variants}


def program_reply(answer: Partial, seconds: float) -> ProgramReply:
    """A finished answer as plain values."""
    ended = answer.finish_reason not in (None, FinishReason.LENGTH)
    return ProgramReply(reply=answer.text, ended=ended, tokens=answer.tokens, seconds=round(seconds, 3))


def add_endpoints(endpoints: Endpoints) -> None:
    """Declares `/chat` and `/compare` in the page that is being built; they share its place in the queue."""
    shared = {"concurrency_id": MODEL["concurrency_id"]}
    gr.api(endpoints.chat, api_name="chat", **shared)
    gr.api(endpoints.compare, api_name="compare", **shared)


def shown(value: object) -> str:
    """A refused value, short, so that an answer is never as long as what was sent."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def refused(reason: str) -> gr.Error:
    """An error that names the argument, without a traceback in the log."""
    return gr.Error(reason, title="Cannot be answered", print_exception=False)
