"""What a server takes: asked for one token at start, in each dialect until one is understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.engine.openai_formats import DIALECTS, Dialect, EngineError, Server, to_engine_error
from chat.sampling import Sampling
from chat.template import Message

if TYPE_CHECKING:
    import openai

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 60.0  # seconds: for a connection, and for the next token


@dataclass
class ProbedVariant:
    """A variant, the connections to its server, and how that takes a prompt."""

    server: Server
    client: openai.AsyncOpenAI
    dialect: Dialect


async def probe_server(name: str, server: Server, tokenizer: Any, key: str) -> ProbedVariant:
    """Asks for one token in each dialect until one is understood; a refusal comes within a second.

    Raises:
        EngineError: it does not answer, has no such model, or reads another number of tokens in the prompt.
    """
    import httpx2
    import openai

    client = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=server.url,
        timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
    )
    prompt: list[Message] = [{"role": "user", "content": "Hello. <|im_end|>"}]
    problem: EngineError | None = None
    for dialect in DIALECTS:
        body = dialect.body(tokenizer, prompt, Sampling(temperature=0, max_new_tokens=1), None)
        try:
            answer = await client.completions.create(model=server.model, **body)
        except openai.OpenAIError as error:
            problem = to_engine_error(name, server, error)
            refused = openai.BadRequestError, openai.UnprocessableEntityError, openai.InternalServerError
            if isinstance(error, refused):
                continue
            break
        counted, ours = answer.usage.prompt_tokens if answer.usage else None, dialect.length(tokenizer, prompt)
        if counted in (None, ours):
            return ProbedVariant(server, client, dialect)
        problem = EngineError(
            f"{server.model} at {server.url} reads {counted} tokens where {name}'s tokenizer has {ours}: another "
            "model, or a server that puts a token before the prompt; name the right one in REPARTEE_ENGINE_MODELS"
        )
    await client.close()
    raise problem or AssertionError("there are dialects")
