"""The local engine: one worker thread owns the model; requests of several visitors share its decode steps.

Continuous batching: a request's rows (three in a comparison) are admitted at the next step and evicted as they end, so
that nobody waits for another's reply; each row has its own variant, sampling and random generator.
"""

from __future__ import annotations

import atexit
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from queue import SimpleQueue
from random import Random
from typing import Any

from chat.engine.compiled import CompiledStep
from chat.engine.continuous_batch import MAX_BATCH_ROWS, Batch, ContinuousBatch, Sequence
from chat.engine.decoder import Decoder
from chat.engine.threads import run_in_own_thread
from chat.generate import FinishReason, Partial, read_reply
from chat.sampling import Sampling
from chat.template import Message, encode_prompt, stop_ids
from chat.variants import ModelVariants


@dataclass(eq=False)
class _Request:
    """A queued or running request: its rows, and the queue back to the visitor."""

    rows: list[Sequence]
    stopped: threading.Event = field(default_factory=threading.Event)
    updates: SimpleQueue[list[int] | Exception | None] = field(default_factory=SimpleQueue)
    """How many tokens each row has, now and then and at the end; then what went wrong, or None."""
    last_update: float = 0.0
    """When the last of these was put there, on the monotonic clock."""
    answered: bool = False

    def finish(self, result: Exception | None) -> None:
        """Ends the visitor's stream, with an exception or without; only the first call counts."""
        if not self.answered:
            self.answered = True
            self.updates.put(result)


def to_partial(tokenizer: Any, ids: list[int], max_new_tokens: int) -> Partial:
    """Decodes a row's new ids, which may have padding after their end, as far as they can be shown."""
    reply = read_reply(tokenizer, ids)
    done = reply.finish_reason != FinishReason.LENGTH or len(ids) == max_new_tokens
    return Partial(reply.text, done, reply.finish_reason if done else None, reply.tokens)


_OPEN: weakref.WeakSet[LocalEngine] = weakref.WeakSet()


@atexit.register
def close_engines() -> None:
    """Closes engines that were left open: a process that ends under a compiled step dies of SIGABRT otherwise."""
    for engine in list(_OPEN):
        engine.close()


class LocalEngine:
    """Engine of one model on this machine, which any thread may ask."""

    shared_rows = MAX_BATCH_ROWS
    """Of several requests in one batch; one alone may have more."""

    def __init__(
        self, variants: ModelVariants, precision: str = "auto", compiled: bool = False, every: float = 1 / 30
    ) -> None:
        """Quantizes the model's weights (`chat.engine.quantized`); the model itself is not needed afterwards.

        Args:
            variants: the base and its adapters.
            precision: of the weights, one of `chat.variants.PRECISIONS`, or auto.
            compiled: whether steps are to be compiled for this machine, in the background the first time.
            every: seconds at least between two updates of a stream; more than the eye sees would cost the model time.

        Raises ValueError for a model that the decoder does not compute (`open_local_engine` has an engine for it), and
        for a precision or adapters that it cannot serve.
        """
        self.decoder = run_in_own_thread(Decoder, variants, precision)
        self.program = run_in_own_thread(CompiledStep, self.decoder) if compiled else None
        self._batch: Batch = ContinuousBatch(self.decoder, set(stop_ids(variants.tokenizer).values()))
        self._start(variants, self.decoder.max_length, describe_model(variants, self.decoder.precision), every)

    def _start(self, variants: ModelVariants, max_length: int, model_line: str, every: float) -> None:
        self.tokenizer, self.names, self.every = variants.tokenizer, variants.names, every
        self._max_length, self._model_line = max_length, model_line
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []
        self._closed = False
        self._changed = threading.Condition()  # guards the three above
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()
        _OPEN.add(self)

    def stream(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None = None
    ) -> Generator[list[Partial], None, None]:
        """Answers each prompt with the variant named beside it; yields all rows as they grow, and when all are done.

        The request is made at the first `next`, and closing the iterator stops its rows. With a seed the same request
        is answered in the same words, whoever else asks.

        Raises ValueError for an unknown variant, not one variant a prompt or a prompt longer than the model reads,
        RuntimeError when the engine is closed, and whatever goes wrong in the model, after which the engine answers the
        next request.
        """
        request = _Request(self._rows(prompts, names, sampling, seed))
        with self._changed:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append(request)
            self._changed.notify()
        try:
            while (update := request.updates.get()) is not None:
                if isinstance(update, Exception):
                    raise update
                yield [
                    to_partial(self.tokenizer, row.reply[:count], sampling.max_new_tokens)
                    for row, count in zip(request.rows, update, strict=True)
                ]
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
        if self.program:
            self.program.close()

    def describe(self) -> str:
        """One line of health: the engine, the model, who answers at which revision, in which precision, where."""
        state = "ready" if self._worker.is_alive() else "stopped"
        return f"local engine {state}: {self._model_line}{f'; {self.program.state}' if self.program else ''}"

    def _rows(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None
    ) -> list[Sequence]:
        if not prompts or len(prompts) != len(names):
            raise ValueError(f"{len(prompts)} prompts and {len(names)} names of variants; each prompt takes one")
        unknown = set(names) - set(self.names)
        if unknown:
            raise ValueError(f"no variant called {', '.join(sorted(unknown))}; there are {', '.join(self.names)}")
        seed = secrets.randbits(64) if seed is None else seed
        rows = []
        for place, (prompt, name) in enumerate(zip(prompts, names, strict=True)):
            ids = encode_prompt(self.tokenizer, prompt)
            if len(ids) + sampling.max_new_tokens > self._max_length:
                limit = self._max_length - sampling.max_new_tokens
                raise ValueError(f"the prompt has {len(ids)} tokens and the model reads {limit}; shorten it")
            rows.append(Sequence(ids, name, sampling, Random(f"{seed} {place}")))
        return rows

    def _work(self) -> None:
        while self._admit():
            try:
                if self.program:
                    self.program.poll()
                self._batch.step()
            except Exception as error:  # it is raised in the running requests; the worker lives on for others
                self._batch.clear()
                for request in self._running:
                    request.finish(error)
            else:
                self._update()

    def _update(self) -> None:
        """Tells visitors what has been added, and ends the streams of those whose rows are all done."""
        now = time.monotonic()
        for request in self._running:
            done = all(row.done for row in request.rows)
            if not request.answered and (done or now - request.last_update >= self.every):
                request.updates.put([len(row.reply) for row in request.rows])
                request.last_update = now
            if done:
                request.finish(None)

    def _admit(self) -> bool:
        """Evicts rows that are done or stopped, admits requests that fit, first come first served; False once closed.

        Waits while there is nothing to do. A request of more rows than a batch has goes alone.
        """
        with self._changed:
            while True:
                self._running = [one for one in self._running if not (one.answered or one.stopped.is_set())]
                self._batch.evict([row for row in self._batch.rows if row.done or not self._wanted(row)])
                while self._waiting and self._fits(self._waiting[0]):
                    request = self._waiting.popleft()
                    if not request.stopped.is_set():
                        self._batch.admit(request.rows)
                        self._running.append(request)
                if self._closed:
                    return False
                if self._batch.rows:
                    return True
                self._changed.wait()

    def _wanted(self, row: Sequence) -> bool:
        return any(row is one for request in self._running for one in request.rows)

    def _fits(self, request: _Request) -> bool:
        taken = len(self._batch.rows)
        return not taken or request.stopped.is_set() or taken + len(request.rows) <= self.shared_rows


def describe_model(variants: ModelVariants, precision: str) -> str:
    """Describes a model in a line: its size, precision and device, and the variants with their revisions."""
    revisions, model = variants.revisions, variants.model
    who = ", ".join(f"{name}@{revisions[name][:8]}" if name in revisions else name for name in variants.names)
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return f"{model.config.name_or_path}, {size:,.1f}M parameters, {precision} on {model.device}; {who}"
