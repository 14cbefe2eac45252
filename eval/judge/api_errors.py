"""Errors of OpenAI-compatible endpoints, by their words: what passes, what ends a run, what is one prompt's own."""

from __future__ import annotations

import json
import re
from typing import Any

from eval.judge.settings import JudgeSettings
from hub.errors import UserError

MAX_WORDS = 300  # characters of an endpoint's own words in our line
TRANSIENT = (408, 409, 425, 429)
LEGAL = 451  # of one prompt, as filters are
_QUOTA = re.compile(
    r"insufficient_quota|billing_(hard_limit|not_active)|credit balance|insufficient[ _](balance|funds)"
)
_KEY = re.compile(
    r"(invalid|incorrect|expired|missing|wrong|no)[ _]+(api[ _-]?)?key|api[ _-]?key\W+(is )?(not valid|expired)"
)
_PROMPT = re.compile(
    r"content[ _-]?(filter|policy|management|exists risk)|responsible ?ai|data_inspection|prohibited_content"
    r"|invalid_prompt|moderat|flagged|safety|usage polic|\bblocked|sensitive|harmful"
    r"|context[ _](length|window)|maximum context|too long|too many (input )?tokens"
)  # what is said in it, or how long it is
EXTRA_FIELD = re.compile(r"extra[ _](fields?|inputs?|parameters?|forbidden)|additional properties", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"not (yet )?(supported|implemented|allowed)|unsupported|unrecognized|unknown|extra_forbidden"
)
_PARAMETERS = re.compile(r"logprobs|max_completion_tokens|temperature|response_format|reasoning_effort|\bn\b")


class RequestRejected(UserError):
    """HTTP error for what a request asks, or for who asks it; the message is the endpoint's."""


class PromptRejected(RequestRejected):
    """HTTP 4xx for one prompt's words or length; others pass."""


class MalformedResponse(Exception):
    """Malformed or incomplete response; worth a retry."""


class EmptyResponse(MalformedResponse):
    """Response without a word or a probability; said again and again, it is what the prompt gets."""


def retry_delay(error: Exception, settings: JudgeSettings) -> float | None:
    """Retry delay in seconds as Retry-After asks, None where the endpoint does not say; raises permanent errors.

    Raises:
        UserError: another attempt would not help; `RequestRejected` where it is the request that is refused.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        if permanent := permanent_error(error.status_code, error.body, settings):
            raise permanent from error
        return parse_retry_after(error.response.headers.get("retry-after"))
    passes = openai.APIError | MalformedResponse | ValueError  # ValueError: JSON that is cut off
    if isinstance(error, UserError) or not isinstance(error, passes):
        raise error
    return None


def permanent_error(status: int, body: Any, settings: JudgeSettings) -> UserError | None:
    """The error that ends a request for good, by status and words; None for one that passes.

    Args:
        status: HTTP status, or a number in its place within the body.
        body: as openai's client gives it: what stood under `error`, else the whole.
        settings: of the judge, for the message.
    """
    who = f"the judge {settings.model} at {settings.base_url or 'OpenAI'}"
    said = error_words(body)
    all_words = (body if isinstance(body, str) else json.dumps(body, default=str)).lower()
    client_error = 400 <= status < 500
    if status == 402 or (client_error and _QUOTA.search(all_words)):
        return UserError(f"{who} says that no quota is left; add credit and start again, nothing is lost")
    if status == 401 or (client_error and status != 429 and _KEY.search(all_words)):
        return UserError(f"{who} refuses the key in {settings.key_env} ({status}: {said}); set another")
    if status == LEGAL or (client_error and status not in (404, *TRANSIENT) and _PROMPT.search(all_words)):
        return PromptRejected(f"{who} refuses this prompt ({status}): {said}")
    if status == 403:
        return RequestRejected(f"{who} refuses the key in {settings.key_env} (403: {said}); set another")
    if status == 404:
        return RequestRejected(f"{who} is not there (404: {said}); check judge.model and judge.base_url")
    names_parameter = _PARAMETERS.search(all_words) and _UNSUPPORTED.search(all_words)
    if (client_error and status not in TRANSIENT) or status == 501 or (status >= 500 and names_parameter):
        return RequestRejected(f"{who} refuses the request ({status}): {said}")
    return None


def error_words(body: Any) -> str:
    """An endpoint's own words about an error, in one short line; every server nests them in its own way."""
    while isinstance(body, dict):
        inner = next((body[name] for name in ("message", "detail", "error", "msg") if body.get(name)), None)
        if inner is None:
            break
        body = inner
    if isinstance(body, str):
        words = "a web page" if looks_like_html(body) else " ".join(body.split())
    else:
        words = json.dumps(body, default=str) if body else "no words"
    return words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}..."


def looks_like_html(text: str) -> bool:
    """Whether a text is a web page."""
    return text.lstrip("\ufeff \t\r\n")[:15].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))


def was_answered(error: Exception) -> bool:
    """Whether the endpoint may have answered, and charged, a call that ended in this error."""
    import openai

    return isinstance(error, MalformedResponse | ValueError | openai.APITimeoutError)


def never_arrived(error: Exception) -> bool:
    """Whether no connection was made: nobody listens there, or the address is wrong."""
    import httpx2

    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol)


def in_words(error: Exception) -> str:
    """An error in a few words: of a connection, what stands behind openai's "Connection error."."""
    return str(error.__cause__ or "") or str(error) or type(error).__name__


def parse_retry_after(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; None where there is none, or where it is a date."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:  # a date
        return None
