"""Request formats of OpenAI-compatible `/completions` servers, and what their errors mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat.sampling import Sampling
from chat.template import Message, broken_messages, encode_prompt, render_text, stop_ids

NEUTRAL = {"min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
"""Values that switch off what servers add by default: llama.cpp a min_p, vLLM the penalty of Qwen's config."""


class EngineError(RuntimeError):
    """A server does not answer, or not as it should: one line, which holds nothing that a visitor wrote."""


class ServerAway(EngineError):
    """It cannot be reached, broke off, or has too much to do: it may answer later."""


class ServerStarting(ServerAway):
    """It cannot be reached, or what stands before it says that it is not there: it restarts, or loads a model."""


class ServerBusy(ServerAway):
    """It has too much to do."""


@dataclass(frozen=True)
class Server:
    """Where a variant is served, and the name of its model there."""

    url: str
    """Up to and with `/v1`."""
    model: str


@dataclass(frozen=True)
class Dialect:
    """A format of `/completions`: how the prompt and the sampling are sent."""

    name: str
    prompt: Callable[[Any, list[Message]], list[int] | str]
    sampling: Callable[[Any, Sampling], dict[str, Any]]

    def body(self, tokenizer: Any, messages: list[Message], sampling: Sampling, seed: int | None) -> dict[str, Any]:
        """Arguments of openai's `completions.create`, but for the model."""
        seeded = {} if seed is None else {"seed": seed}
        return {"prompt": self.prompt(tokenizer, messages), **self.sampling(tokenizer, sampling), **seeded}

    def length(self, tokenizer: Any, messages: list[Message]) -> int:
        """Tokens that a server with our tokenizer counts in the prompt, BOS included."""
        prompt = self.prompt(tokenizer, messages)
        return len(
            encode_prompt(tokenizer, broken_messages(tokenizer, messages)) if isinstance(prompt, str) else prompt
        )


def sampling_fields(tokenizer: Any, sampling: Sampling) -> dict[str, Any]:
    """Sampling as vLLM and llama.cpp read it: fields of their own beside OpenAI's; each ignores the other's."""
    own = {"top_k": int(sampling.top_k), "stop_token_ids": list(stop_ids(tokenizer).values()), **NEUTRAL}
    return {
        "max_tokens": int(sampling.max_new_tokens),
        "temperature": float(sampling.temperature),
        "top_p": float(sampling.top_p),
        "extra_body": own,
    }


def sampling_as_generation_config(tokenizer: Any, sampling: Sampling) -> dict[str, Any]:
    """Sampling as `transformers serve` reads it, which refuses a field that it does not know."""
    stops = {"eos_token_id": list(stop_ids(tokenizer).values()), "pad_token_id": tokenizer.pad_token_id}
    return {"extra_body": {"generation_config": json.dumps(sampling.to_generate_kwargs() | stops)}}


DIALECTS = (
    Dialect("token ids", encode_prompt, sampling_fields),
    Dialect("text", render_text, sampling_fields),
    Dialect("text, with a generation config", render_text, sampling_as_generation_config),
)
"""In the order in which they are tried on a server."""


def to_engine_error(name: str, server: Server, error: Exception) -> EngineError:
    """Explains an error of openai's client in one line. A server's own words may quote the prompt, and are left out."""
    import openai

    what = f"the server of {name}, {server.url},"
    if isinstance(error, openai.APITimeoutError):
        return ServerAway(f"{what} is silent; look whether it is overloaded")
    if isinstance(error, openai.APIConnectionError):
        return ServerStarting(f"{what} cannot be reached; start it, or correct REPARTEE_ENGINE_URL")
    status = getattr(error, "status_code", None)
    cures = {
        401: "set REPARTEE_ENGINE_KEY to its key",
        403: "set REPARTEE_ENGINE_KEY to its key",
        404: f"no /completions there, or no model {server.model}; see REPARTEE_ENGINE_URL and REPARTEE_ENGINE_MODELS",
        429: "it has too much to do",
        502: "nothing answers behind it now",
        503: "it is starting, or has too much to do",
        504: "nothing answers behind it now",
    }
    answered = f"answered {status}" if status else "answered with an error"
    kinds = {429: ServerBusy, 502: ServerStarting, 503: ServerStarting, 504: ServerStarting}
    kind = kinds.get(status or 0, EngineError)
    return kind(f"{what} {answered}: {cures.get(status or 0, 'see its log')}")
