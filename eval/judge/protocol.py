"""OpenAI's chat protocol: a request's parameters, reading a response, and which errors are worth a retry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eval.judge.messages import Answer, Request
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

if TYPE_CHECKING:
    import openai

CHARACTERS_A_TOKEN = 3  # fewer than English has (about 4): the budget is reserved for the worst


class RequestRejected(UserError):
    """HTTP 4xx for what a request asks; the message is the endpoint's."""


class MalformedResponse(Exception):
    """Malformed or incomplete response; worth a retry."""


def prompt_tokens_bound(request: Request) -> int:
    """Upper bound of a request's prompt tokens, found without a tokenizer."""
    return sum(len(content) for _, content in request.messages) // CHARACTERS_A_TOKEN + 20


def request_parameters(request: Request, settings: JudgeSettings) -> dict[str, Any]:
    """Chat completion parameters of a request, as keyword arguments of `chat.completions.create`."""
    parameters: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        "max_completion_tokens": request.max_tokens,
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


def parse_response(response: openai.types.chat.ChatCompletion) -> Answer:
    """Answer of a chat completion: texts, top log-probabilities of the first token, and token counts.

    Raises:
        MalformedResponse: something is missing.
    """
    try:
        texts = tuple(choice.message.content or "" for choice in response.choices)
        usage, logprobs = response.usage, response.choices[0].logprobs
        tokens = logprobs.content if logprobs and logprobs.content else []
        first = tuple((one.token, one.logprob) for one in tokens[0].top_logprobs) if tokens else ()
        counted = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return Answer(texts, first, *counted, response.model)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise MalformedResponse(f"the answer is not one of the OpenAI protocol: {error}") from error


def is_refusal(response: openai.types.chat.ChatCompletion) -> bool:
    """Whether a response is a refusal: asking again gives no other, and it has no text to be read."""
    choice = response.choices[0]
    return bool(choice.message.refusal) or choice.finish_reason == "content_filter"


def retry_delay(error: Exception, settings: JudgeSettings) -> float | None:
    """Retry delay in seconds as Retry-After asks, None where the endpoint does not say; raises permanent errors.

    Raises:
        UserError: another attempt would not help; `RequestRejected` where it is the request that is refused.
    """
    import openai

    who = f"the judge {settings.model} at {settings.base_url or 'OpenAI'}"
    if isinstance(error, UserError):
        raise error
    if isinstance(error, openai.APIStatusError):
        body: Any = error.body if isinstance(error.body, dict) else {}
        code = str(error.code or body.get("code") or "")
        if code == "insufficient_quota" or error.status_code == 402:
            raise UserError(f"{who} says that no quota is left; add credit and start again, nothing is lost")
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            raise UserError(f"{who} refuses the key in {settings.key_env} ({error.status_code}); set another")
        if isinstance(error, openai.NotFoundError):
            raise UserError(f"{who} is not there (404); check judge.model and judge.base_url")
        if error.status_code < 500 and error.status_code not in (408, 409, 429):
            raise RequestRejected(
                f"{who} refuses the request ({error.status_code}): {body.get('message') or error.message}"
            )
        return parse_retry_after(error.response.headers.get("retry-after"))
    if isinstance(error, openai.APIError | MalformedResponse | ValueError):  # ValueError: JSON that is cut off
        return None
    raise error


def parse_retry_after(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; None where there is none, or where it is a date."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:  # a date
        return None
