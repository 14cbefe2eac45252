"""Client engine of OpenAI-compatible servers, with the interface of the local engine.

Every prompt is rendered here, so that a server's own chat template has no say. vLLM and llama.cpp's server take token
ids, in which a visitor's `<|im_end|>` stays the ten characters that it is. `transformers serve` and the server of
llama-cpp-python take text only; there `break_control_tokens` takes apart what a person wrote. Which of the two a server
takes is tried at start, and `describe` says it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from chat.engine.openai_formats import Server, ServerAway, ServerBusy, ServerStarting, to_engine_error
from chat.engine.openai_probe import ProbedVariant, probe_server
from chat.engine.openai_requests import ConcurrencyProbe, Outage, run_concurrently, run_probing
from chat.generate import FinishReason, Partial, Reply
from chat.sampling import Sampling
from chat.template import Message, stop_ids

SEED_LIMIT = 2**31  # what every server's seed can hold
PATIENCE = 600.0  # seconds that bulk generation waits for a server that is away: it restarts, or loads a model


@dataclass
class _Row:
    """The part of one reply that has arrived."""

    text: str = ""
    finish_reason: FinishReason | None = None
    tokens: int = 0
    waiting: bool = False

    @property
    def partial(self) -> Partial:
        text = self.text.rstrip("\ufffd").strip()
        return Partial(text, self.finish_reason is not None, self.finish_reason, self.tokens, self.waiting)


@dataclass
class RemoteEngine:
    """Engine of models that run on servers, which any thread may ask; the servers batch.

    Args:
        servers: by variant.
        tokenizer: of the base; it makes the prompts and counts the tokens.
        key: for the `Authorization` header of every request; kept nowhere else.
        revisions: full commit by variant, for `describe` alone.
        patience: seconds that a start or an answer waits for a server that is starting, as one does that scales to
            zero; bulk generation has a patience of its own.

    Raises:
        EngineError: at start, for a server that does not answer, has no such model or reads a prompt otherwise.
    """

    servers: Mapping[str, Server]
    tokenizer: Any
    key: str = field(repr=False, default="")
    revisions: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0

    def __post_init__(self) -> None:
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote engine", daemon=True)
        self._thread.start()
        self._variants: dict[str, ProbedVariant] = {}
        self._concurrency = ConcurrencyProbe()
        try:
            for name, server in self.servers.items():
                self._variants[name] = self._run(self._probe(name, server))
        except BaseException:
            self.close()
            raise

    def stream(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None = None
    ) -> Generator[list[Partial], None, None]:
        """Answers each prompt with the variant named beside it; yields all rows whenever one of them has grown.

        The requests are made at the first `next`; closing the iterator closes their connections, which ends them on the
        server. With a seed the answers are as repeatable as the server makes them. While a server is starting its rows
        are `waiting`, `patience` seconds at most.

        Raises ValueError for an unknown variant or not one variant a prompt, RuntimeError when the engine is closed,
        and EngineError where a server fails.
        """
        self._check(prompts, names)
        rows = [_Row() for _ in prompts]
        updates: SimpleQueue[list[Partial] | BaseException | None] = SimpleQueue()

        outage = Outage(self.patience)

        def tell() -> None:
            updates.put([row.partial for row in rows])

        async def one(place: int) -> None:
            while rows[place].finish_reason is None:
                try:
                    async for _ in self._receive(rows[place], names[place], prompts[place], sampling, seed):
                        rows[place].waiting = False
                        tell()
                except ServerStarting as error:
                    rows[place] = _Row(waiting=self.patience > 0)
                    tell()
                    await outage.pause(error)

        running = asyncio.run_coroutine_threadsafe(run_concurrently(map(one, range(len(rows)))), self._loop)
        running.add_done_callback(
            lambda done: updates.put(RuntimeError("the engine is closed") if done.cancelled() else done.exception())
        )
        try:
            while (update := updates.get()) is not None:
                if isinstance(update, BaseException):
                    raise update
                yield update
        finally:
            running.cancel()

    def replies(self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int) -> list[Reply]:
        """Bulk generation, as `chat.generate.generate`: one reply to each prompt, in order.

        How many are asked for at one time is found on the way (`ConcurrencyProbe`). Each prompt has a seed of its own,
        made of `seed` and its place. A server that goes away is waited for, PATIENCE seconds at most, and what it had
        not finished is asked again; a line says so.
        """
        self._check(prompts, names)
        rows = [_Row() for _ in prompts]
        outage = Outage(PATIENCE)

        async def one(place: int) -> None:
            draw = (seed * 1_000_003 + place) % SEED_LIMIT
            while True:
                rows[place] = _Row()
                try:
                    async for _ in self._receive(rows[place], names[place], prompts[place], sampling, draw):
                        pass
                except ServerAway as error:
                    if isinstance(error, ServerBusy):
                        self._concurrency.too_many()
                    await outage.pause(error)
                else:
                    return outage.over()

        self._run(run_probing([partial(one, place) for place in range(len(rows))], self._concurrency))
        return [Reply(row.partial.text, row.finish_reason or FinishReason.LENGTH, row.tokens) for row in rows]

    def close(self) -> None:
        """Ends what is running, and refuses what comes. A second call does nothing."""
        if self._closed:
            return
        self._closed = True

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for variant in self._variants.values():
                await variant.client.close()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def describe(self) -> str:
        """Describes in a line which variant is which model at which server, and how it is asked."""
        lines = []
        for name, variant in self._variants.items():
            pinned = f"@{self.revisions[name][:8]}" if name in self.revisions else ""
            where = f"{variant.server.model} at {variant.server.url} in {variant.dialect.name}"
            lines.append(f"{name}{pinned} is {where}")
        return f"engine {'stopped' if self._closed else 'ready'}: {'; '.join(lines)}"

    def _check(self, prompts: list[list[Message]], names: list[str]) -> None:
        if not prompts or len(prompts) != len(names):
            raise ValueError(f"{len(prompts)} prompts and {len(names)} names of variants; each prompt takes one")
        if unknown := set(names) - set(self.servers):
            raise ValueError(f"no variant called {', '.join(sorted(unknown))}; there are {', '.join(self.servers)}")
        if self._closed:
            raise RuntimeError("the engine is closed")

    async def _probe(self, name: str, server: Server) -> ProbedVariant:
        outage = Outage(self.patience)
        while True:
            try:
                return await probe_server(name, server, self.tokenizer, self.key)
            except ServerStarting as error:
                await outage.pause(error)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _receive(
        self, row: _Row, name: str, prompt: list[Message], sampling: Sampling, seed: int | None
    ) -> AsyncIterator[None]:
        """Streams one reply into its row; yields after every chunk."""
        import httpx2
        import openai

        variant = self._variants[name]
        body = variant.dialect.body(self.tokenizer, prompt, sampling, seed)
        try:
            async with await variant.client.completions.create(
                model=variant.server.model, stream=True, **body
            ) as chunks:
                async for chunk in chunks:
                    for choice in chunk.choices[:1]:
                        row.text += choice.text or ""
                        if choice.finish_reason:
                            row.finish_reason = self._finish_reason(choice)
                    row.tokens = self._count(row)
                    yield
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            if not (row.text and isinstance(error, openai.APIConnectionError | httpx2.HTTPError)):
                raise to_engine_error(name, self.servers[name], error) from None
        if row.finish_reason is None:
            raise ServerAway(f"the server of {name}, {variant.server.url}, broke off in the middle of an answer")

    def _finish_reason(self, choice: Any) -> FinishReason:
        """The stop token where the server names it, as vLLM may; else UNNAMED_STOP."""
        if choice.finish_reason == "length":
            return FinishReason.LENGTH
        names: dict[Any, str] = {id: name for name, id in stop_ids(self.tokenizer).items()}
        return FinishReason(names.get(getattr(choice, "stop_reason", None), FinishReason.UNNAMED_STOP))

    def _count(self, row: _Row) -> int:
        """The tokens of a reply, by our tokenizer, its end included: a server may send several in one piece."""
        own = len(self.tokenizer.encode(row.text, add_special_tokens=False))
        return own + (row.finish_reason not in (None, FinishReason.LENGTH))
