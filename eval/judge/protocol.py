"""OpenAI's chat protocol: a request's parameters, and reading a response, as the many servers of it send them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from eval.judge.api_errors import (
    EmptyResponse,
    MalformedResponse,
    error_words,
    looks_like_html,
    permanent_error,
)
from eval.judge.messages import Answer, Request
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

if TYPE_CHECKING:
    import openai

CHARACTERS_A_TOKEN = 3  # fewer than English has (about 4): the budget is reserved for the worst
ROUNDING = 1e-3  # of a log-probability that should be 0
TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")  # OpenAI's own name, and that of servers who know it alone
_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", re.DOTALL)
_THOUGHT_END = re.compile(r".*</(?:think|thinking|thought|reasoning)>", re.DOTALL)
_FENCE = re.compile(r"\s*```[\w-]*\n(.*?)\n?(?:```\s*)?", re.DOTALL)


def prompt_tokens_bound(request: Request) -> int:
    """Upper bound of a request's prompt tokens, found without a tokenizer."""
    return sum(len(content) for _, content in request.messages) // CHARACTERS_A_TOKEN + 20


def request_parameters(request: Request, settings: JudgeSettings, token_limit: str = TOKEN_LIMITS[0]) -> dict[str, Any]:
    """Chat completion parameters of a request, as keyword arguments of `chat.completions.create`.

    Args:
        request: what is asked.
        settings: of the judge.
        token_limit: the endpoint's name for the most tokens of an answer, one of TOKEN_LIMITS.
    """
    parameters: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        token_limit: request.max_tokens,
    }
    if settings.effort is not None:
        parameters["reasoning_effort"] = settings.effort
    if request.temperature >= 0:  # below 0: the endpoint takes none
        parameters["temperature"] = request.temperature
    if request.logprobs:
        parameters |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.n > 1:
        parameters["n"] = request.n
    if request.schema:
        schema = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    return parameters


def parse_response(response: openai.types.chat.ChatCompletion, request: Request, settings: JudgeSettings) -> Answer:
    """Answer of a chat completion: texts, top log-probabilities of the first token, and token counts.

    A response without choices is a prompt that was filtered: an answer that is marked as refused. Tokens that the
    endpoint does not count are the most that the request could take, and the answer is marked as `estimated`.

    Raises:
        UserError: it is no chat completion, and another attempt would give none.
        MalformedResponse: something is missing; worth a retry.
    """
    refuse_other_protocols(response, settings)
    counted = counted_tokens(response, request)
    try:
        if not response.choices:
            return Answer(("",) * request.n, (), *counted, model=response.model or "", refused=True)
        if not any(getattr(choice, "message", None) for choice in response.choices):
            raise EmptyResponse("no message in the answer")
        texts = tuple(final_text(content_text(choice.message.content)) for choice in response.choices)
        logprobs = response.choices[0].logprobs
        tokens = logprobs.content if logprobs and logprobs.content else []
        first = readable_logprobs(tokens[0].top_logprobs or []) if tokens else ()
        return Answer(texts, first, *counted, model=response.model or "", refused=is_refusal(response))
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise MalformedResponse(f"the answer is not one of the OpenAI protocol: {error}") from error


def refuse_other_protocols(response: Any, settings: JudgeSettings) -> None:
    """Raises for what came with status 200 and is no chat completion: a web page, an error, another protocol.

    Raises:
        UserError: another attempt would not help.
        MalformedResponse: it is worth one.
    """
    who = f"the judge {settings.model} at {settings.base_url or 'OpenAI'}"
    cure = "check judge.base_url, the address up to and with /v1 at most servers"
    if isinstance(response, str) and response.strip():
        what = "a web page" if looks_like_html(response) else f"text that is no JSON ({error_words(response)})"
        raise UserError(f"{who} answers with {what}; {cure}")
    if said := getattr(response, "error", None):
        code = said.get("code") if isinstance(said, dict) else None
        status = int(str(code)) if str(code).isdecimal() else 400
        raise permanent_error(status, said, settings) or MalformedResponse(error_words(said))
    if not isinstance(response, str) and not (getattr(response, "choices", None) or getattr(response, "id", None)):
        raise UserError(f"{who} answers with JSON that is no chat completion; {cure}")


def readable_logprobs(alternatives: Sequence[Any]) -> tuple[tuple[str, float], ...]:
    """The alternatives whose log-probability is one; some servers send null, or probabilities."""
    given = ((one.token, one.logprob) for one in alternatives)
    return tuple((token, value) for token, value in given if isinstance(value, int | float) and value <= ROUNDING)


def content_text(content: Any) -> str:
    """Text of a message's content: a string, null, or a list of parts, of which those that are text count."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def final_text(text: str) -> str:
    """An answer without the thinking before it and the code fence around it; nothing where the thinking was cut off.

    A chat template may have opened the thinking in the prompt: then its end stands alone.
    """
    said = _THOUGHT_END.sub("", _THOUGHT.sub("", text))
    said = said if said == text else said.lstrip()
    fenced = _FENCE.fullmatch(said)
    return fenced[1] if fenced else said


def counted_tokens(response: Any, request: Request) -> tuple[int, int, bool]:
    """Prompt tokens, answer tokens, and whether one of them had to be taken as the most that it could be."""
    usage, most = getattr(response, "usage", None), (prompt_tokens_bound(request), request.max_tokens * request.n)
    given = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    whole = [count if isinstance(count, int) and count >= 0 else None for count in given]
    prompt, answer = whole if whole != [0, 0] else [None, None]  # zeros of a server that does not count
    estimated = prompt is None or answer is None
    return most[0] if prompt is None else prompt, most[1] if answer is None else answer, estimated


def is_refusal(response: openai.types.chat.ChatCompletion) -> bool:
    """Whether a response is a refusal: asking again gives no other, and it has no text to be read."""
    choice = response.choices[0]
    return bool(getattr(choice.message, "refusal", None)) or choice.finish_reason == "content_filter"


def answer_to_rejection(request: Request) -> Answer:
    """Answer to a prompt that the endpoint rejects: refused, and kept as such; it cost nothing."""
    return Answer(("",) * request.n, refused=True)
