"""Both sides of `benchmarks.serve` in turns: engine, llama.cpp's library, servers; the best of the rounds counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.serve_parts import Peer
from benchmarks.server_peers import RunningPeer, ServerPeer, answering
from chat.variants import VARIANTS

LINE = [{"role": "user", "content": "Where were you last night? I have been waiting for hours."}]
CROWDS: dict[str, Sequence[str]] = {"one": ("base",), "three_way": VARIANTS, "visitors8": (VARIANTS * 3)[:8]}
"""Who is asked at one time, by what it is called."""


class Timing(NamedTuple):
    """Seconds of answers asked for at one time."""

    seconds: float
    """To the end of the last."""
    first: float
    """To the first token of the last that got one."""


def never_ending() -> Any:
    """Patch under which answers run to their full length: no token stops them."""
    nothing = {"<|im_end|>": -1, "<|endoftext|>": -2}
    return mock.patch.multiple("chat.engine.local", stop_ids=lambda tokenizer: nothing, read_reply=read_on)


def read_on(tokenizer: Any, ids: list[int]) -> Any:
    """`chat.generate.read_reply` where nothing ends a reply."""
    from chat.generate import FinishReason, Reply

    return Reply(tokenizer.decode(ids, skip_special_tokens=True), FinishReason.LENGTH, len(ids))


def answer(engine: Any, names: Sequence[str], tokens: int) -> Timing:
    """One request, of one variant or of several in a batch."""
    from chat.sampling import Sampling

    started, first = time.perf_counter(), 0.0
    for _ in engine.stream([LINE] * len(names), list(names), Sampling(temperature=0, max_new_tokens=tokens)):
        first = first or time.perf_counter() - started
    return Timing(time.perf_counter() - started, first)


def at_once(ask: Callable[[str], Timing], variants: Sequence[str]) -> Timing:
    """So many visitors at one time, each with a request of its own. Raises what a request raised."""
    timings: list[Timing] = []
    errors: list[Exception] = []

    def one(variant: str) -> None:
        try:
            timings.append(ask(variant))
        except Exception as error:
            errors.append(error)

    crowd = [threading.Thread(target=one, args=(variant,)) for variant in variants]
    for visitor in crowd:
        visitor.start()
    for visitor in crowd:
        visitor.join()
    if errors:
        raise errors[0]
    return Timing(max(one.seconds for one in timings), max(one.first for one in timings))


def least(old: Timing | None, new: Timing) -> Timing:
    """The smaller of each, for other work on the machine only ever adds."""
    return new if old is None else Timing(min(old.seconds, new.seconds), min(old.first, new.first))


def race_library(engine: Any, prompt: list[int], peer: Peer | None, given: Any) -> dict[str, float]:
    """Seconds of the engine and of llama.cpp's library: one answer, its first token, three ways."""
    best: dict[str, float] = {}

    def take(name: str, seconds: float) -> None:
        best[name] = round(min(best.get(name, seconds), seconds), 4)

    question = json.dumps({"prompt": prompt, "tokens": given.tokens})
    answer(engine, VARIANTS, 2)
    for _ in range(given.rounds):
        total, first = answer(engine, ["base"], given.tokens)
        take("one", total)
        take("first", first)
        take("one_adapter", answer(engine, ["sft"], given.tokens).seconds)
        take("three_way", answer(engine, VARIANTS, given.tokens).seconds)
        if peer:
            answers = [peer.ask(question) for _ in range(3)]
            take("llama_one", min(one["seconds"] for one in answers))
            take("llama_first", min(one["first"] for one in answers))
            take("llama_three", sum(one["seconds"] for one in answers))
    return best


def race_server(engine: Any, peer: ServerPeer, prompt: list[int], scratch: Path, given: Any) -> dict[str, float]:
    """Figures of the engine over one server: tokens a second, and the wait for the first token, of each of CROWDS."""
    ours: dict[str, Timing] = {}
    theirs: dict[str, Timing] = {}
    with answering(peer, scratch / "server.log", prompt) as (running, start):
        for _ in range(given.rounds):
            for name, variants in CROWDS.items():
                running.running.pause()  # an idle vLLM looks for work without end: a third of the engine's time
                asked = asked_of_engine(engine, name, given.tokens)
                running.running.resume()
                ours[name] = least(ours.get(name), asked)
                there = at_once(lambda variant: asked_of_server(running, variant, prompt, given.tokens), variants)
                theirs[name] = least(theirs.get(name), there)
        memory = running.memory()
    print(
        f"{peer.name}: {start:.1f} s from its start to three answers, {memory / 1e6:,.0f} MB; seconds and first token: "
        + "; ".join(f"{name} {theirs[name].seconds:.2f} and {theirs[name].first:.3f} "
                    f"(ours {ours[name].seconds:.2f} and {ours[name].first:.3f})" for name in CROWDS),
        flush=True,
    )  # fmt: skip
    over = {f"{name}_over_": theirs[name].seconds / ours[name].seconds for name in CROWDS}
    wait = ours["visitors8"].first / theirs["visitors8"].first
    return over | {"first8_over_": wait, "start_s_": start, "megabytes_": memory / 1e6}


def asked_of_engine(engine: Any, name: str, tokens: int) -> Timing:
    """The engine as the page asks it: three ways are one request of three, eight visitors eight requests."""
    if name == "visitors8":
        return at_once(lambda variant: answer(engine, [variant], tokens), CROWDS[name])
    return answer(engine, CROWDS[name], tokens)


def asked_of_server(running: RunningPeer, variant: str, prompt: list[int], tokens: int) -> Timing:
    """One request to a server."""
    return Timing(*running.ask(variant, prompt, tokens))
