"""The local engine: one worker thread owns the model, batches the requests that wait and streams every row.

PEFT is not safe to call from two threads (most answers then come from the wrong adapter, in silence), so requests wait
in line for the one worker. A comparison is one request of three rows; requests with the same sampling share a batch.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from chat.generate import read_reply, sample
from chat.sampling import Sampling
from chat.template import Message, encode_prompt
from chat.voices import Voices

MOST_ROWS = 12  # of several requests in one batch; more make everybody's step slower


@dataclass(frozen=True)
class Partial:
    """How far one row has come. `ended` is as in `chat.generate.Reply` once the row is done, and None before."""

    text: str
    done: bool
    ended: str | None
    tokens: int


@dataclass(eq=False)
class _Request:
    """What one visitor asked, row by row, and the way back to the visitor."""

    rows: list[list[int]]
    names: list[str]
    sampling: Sampling
    seed: int | None
    generated: list[list[int]]
    stopped: threading.Event = field(default_factory=threading.Event)
    updates: SimpleQueue[list[Partial] | Exception | None] = field(default_factory=SimpleQueue)
    answered: bool = False

    def fits(self, other: _Request) -> bool:
        """Whether both can be drawn in one batch: a seeded draw must not depend on who else is asking."""
        seeded = self.seed is not None or other.seed is not None
        return self.sampling == other.sampling and (self.sampling.temperature == 0 or not seeded)

    def add(self, tokenizer: Any, tokens: list[int]) -> None:
        """Takes the next token of each row, padding for the rows that have ended, and tells the visitor."""
        if self.answered or self.stopped.is_set():
            return
        for ids, token in zip(self.generated, tokens, strict=True):
            ids.append(token)
        partials = [partial(tokenizer, ids, self.sampling.max_new_tokens) for ids in self.generated]
        self.updates.put(partials)
        if all(row.done for row in partials):
            self.finish(None)

    def finish(self, result: Exception | None) -> None:
        """Ends the visitor's stream, with an exception or without; only the first call counts."""
        if not self.answered:
            self.answered = True
            self.updates.put(result)


def partial(tokenizer: Any, ids: list[int], max_new_tokens: int) -> Partial:
    """What can be shown of a row's new ids, which may have padding after their end."""
    reply = read_reply(tokenizer, ids)
    done = reply.ended != "length" or len(ids) == max_new_tokens
    return Partial(reply.text, done, reply.ended if done else None, reply.tokens)


class _Streamer(BaseStreamer):
    """Deals each step's tokens, one for every row of the batch, to the requests that the rows belong to."""

    def __init__(self, batch: list[_Request], tokenizer: Any) -> None:
        self.batch, self.tokenizer = batch, tokenizer

    def put(self, value: torch.Tensor) -> None:
        if value.dim() > 1:  # generate's first call carries the prompts
            return
        tokens = iter(value.tolist())
        for request in self.batch:
            request.add(self.tokenizer, [next(tokens) for _ in request.rows])

    def end(self) -> None:
        pass


class _Stopped(StoppingCriteria):
    """Ends the rows of stopped requests, by returning: raising inside `generate` would leave hooks on the model."""

    def __init__(self, batch: list[_Request]) -> None:
        self.batch = batch

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        stopped = [request.stopped.is_set() for request in self.batch for _ in request.rows]
        return torch.tensor(stopped, device=input_ids.device)


class LocalEngine:
    """Answers whoever asks, from any thread, with one model on this machine."""

    def __init__(self, voices: Voices) -> None:
        self.voices = voices
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []
        self._closed = False
        self._changed = threading.Condition()  # guards the three above
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()

    def stream(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None = None
    ) -> Generator[list[Partial], None, None]:
        """Answers each prompt with the voice named beside it; yields all rows after every token.

        The request is made at the first `next`, and closing the iterator stops its rows. With a seed the same request
        is answered in the same words, those of `generate` for prompts of like length.

        Raises ValueError for an unknown voice or not one voice a prompt, RuntimeError when the engine is closed, and
        whatever goes wrong in the model, after which the engine answers the next request.
        """
        if not prompts or len(prompts) != len(names):
            raise ValueError(f"{len(prompts)} prompts and {len(names)} names of voices; each prompt takes one")
        self.voices.adapter_names(names)
        rows = [encode_prompt(self.voices.tokenizer, prompt) for prompt in prompts]
        request = _Request(rows, names, sampling, seed, [[] for _ in rows])
        with self._changed:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append(request)
            self._changed.notify()
        try:
            while (update := request.updates.get()) is not None:
                if isinstance(update, Exception):
                    raise update
                yield update
        finally:
            request.stopped.set()

    def close(self) -> None:
        """Stops what is running, refuses what waits, and ends the worker. A second call does nothing."""
        with self._changed:
            self._closed = True
            for request in [*self._running, *self._waiting]:
                request.stopped.set()
                request.finish(RuntimeError("the engine is closed"))
            self._waiting.clear()
            self._changed.notify()
        self._worker.join()

    def describe(self) -> str:
        """One line of health: who answers, at which revision, in which precision, where."""
        model, revisions = self.voices.model, self.voices.revisions
        who = ", ".join(f"{name}@{revisions[name][:8]}" if name in revisions else name for name in self.voices.names)
        size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        precision = str(model.dtype).removeprefix("torch.")
        alive = "ready" if self._worker.is_alive() else "stopped"
        return f"engine {alive}: {who}; {size:,.1f}M parameters, {precision} on {model.device}"

    def _work(self) -> None:
        result: Exception | None
        while batch := self._next_batch():
            try:
                self._answer(batch)
                result = None
            except Exception as error:  # it belongs to those who asked; the worker lives on for the others
                result = error
            for request in batch:
                request.finish(result)

    def _next_batch(self) -> list[_Request]:
        """Waits for requests; returns the first and those behind it that fit in its batch, or none when closed."""
        with self._changed:
            self._running = []
            while not self._closed:
                waiting = [request for request in self._waiting if not request.stopped.is_set()]
                if waiting:
                    break
                self._waiting.clear()
                self._changed.wait()
            else:
                return []
            rows = 0
            for request in waiting:
                if not self._running or (request.fits(waiting[0]) and rows + len(request.rows) <= MOST_ROWS):
                    self._running.append(request)
                    rows += len(request.rows)
            self._waiting = deque(request for request in waiting if request not in self._running)
            return self._running

    def _answer(self, batch: list[_Request]) -> None:
        seed = batch[0].seed
        sample(
            self.voices,
            [row for request in batch for row in request.rows],
            [name for request in batch for name in request.names],
            batch[0].sampling,
            secrets.randbits(32) if seed is None else seed,
            streamer=_Streamer(batch, self.voices.tokenizer),
            stopping_criteria=StoppingCriteriaList([_Stopped(batch)]),
        )
