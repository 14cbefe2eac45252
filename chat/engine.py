"""The local engine: one worker thread owns the model, and streams every row of a request token by token.

PEFT is not safe to call from two threads (most answers then come from the wrong adapter, in silence), so requests wait
in a queue for the one worker. A comparison is one request of three rows: one `generate`, one copy of the base.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from chat.generate import encode_prompt, generate_kwargs, left_padded, read_reply
from chat.sampling import Sampling
from chat.template import Message
from chat.voices import Voices


@dataclass(frozen=True)
class Partial:
    """How far one row has come."""

    text: str
    done: bool = False
    ended: str = ""  # as in chat.generate.Reply, once it is done
    tokens: int = 0


@dataclass
class _Request:
    prompts: list[list[Message]]
    names: list[str]
    sampling: Sampling
    seed: int | None
    updates: queue.Queue[list[Partial] | Exception | None] = field(default_factory=queue.Queue)
    stopped: threading.Event = field(default_factory=threading.Event)


class _Rows(BaseStreamer):
    """Takes the ids of all rows at each step and hands on the text so far."""

    def __init__(self, tokenizer: Any, request: _Request) -> None:
        self.tokenizer, self.request = tokenizer, request
        self.ids: list[list[int]] = [[] for _ in request.prompts]
        self.prompt_is_next = True

    def put(self, value: Any) -> None:
        if self.prompt_is_next:  # generate's first call carries the prompts
            self.prompt_is_next = False
            return
        for row, token in zip(self.ids, value.tolist(), strict=True):
            row.append(token)
        self.request.updates.put([self._partial(row) for row in self.ids])

    def end(self) -> None:
        pass

    def _partial(self, ids: list[int]) -> Partial:
        reply = read_reply(self.tokenizer, ids)
        done = reply.ended != "length" or len(ids) >= self.request.sampling.max_new_tokens
        # a character of several bytes may still be on its way: its head decodes to a replacement mark
        text = reply.text if done else reply.text.rstrip("\ufffd")
        return Partial(text, done, reply.ended if done else "", reply.tokens)


class _Stop(StoppingCriteria):
    """Ends generation when the request was given up: by returning, as an exception would leave hooks on the model."""

    def __init__(self, request: _Request) -> None:
        self.request = request

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        return torch.full((input_ids.shape[0],), self.request.stopped.is_set(), device=input_ids.device)


class LocalEngine:
    """Answers requests in the order they came."""

    def __init__(self, voices: Voices) -> None:
        self.voices = voices
        self._requests: queue.Queue[_Request | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="repartee-model", daemon=True)
        self._worker.start()

    def stream(
        self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int | None = None
    ) -> Iterator[list[Partial]]:
        """Yields the rows after every token. Closing the iterator stops the model.

        Raises:
            ValueError: no such voice, or not one voice for each prompt.
            Exception: whatever went wrong in the model; the engine goes on with the next request.
        """
        if len(prompts) != len(names):
            raise ValueError(f"{len(prompts)} prompts and {len(names)} voices; there must be one voice for each prompt")
        self.voices.adapter_names(names)
        request = _Request(prompts, names, sampling, seed)
        self._requests.put(request)
        try:
            while (update := request.updates.get()) is not None:
                if isinstance(update, Exception):
                    raise update
                yield update
        finally:
            request.stopped.set()

    def close(self) -> None:
        """Stops the worker after the request in hand."""
        self._requests.put(None)
        self._worker.join()

    def describe(self) -> str:
        """One line of health: what answers, in which precision, where."""
        model = self.voices.model
        revisions = ", ".join(f"{name}@{sha[:12]}" for name, sha in self.voices.revisions.items())
        size = sum(parameter.numel() for parameter in model.parameters())
        return f"transformers + PEFT on {model.device}, {model.dtype}, {size / 1e6:.1f}M parameters; {revisions}"

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            if request.stopped.is_set():
                continue
            try:
                self._answer(request)
                request.updates.put(None)
            except Exception as error:  # it belongs to whoever asked; the worker must live on
                request.updates.put(error)

    def _answer(self, request: _Request) -> None:
        import torch

        tokenizer = self.voices.tokenizer
        tokens, mask = left_padded([encode_prompt(tokenizer, prompt) for prompt in request.prompts], self.voices)
        if request.seed is not None:
            torch.manual_seed(request.seed)
        with torch.inference_mode():
            self.voices.model.generate(
                input_ids=tokens,
                attention_mask=mask,
                streamer=_Rows(tokenizer, request),
                stopping_criteria=[_Stop(request)],
                **generate_kwargs(self.voices, request.sampling),
                **self.voices.adapter_names(request.names),
            )
