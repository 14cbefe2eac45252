"""OpenAI-compatible endpoint: the HTTP client of one judge, without retries, cache or budget."""

from __future__ import annotations

from typing import Any

from eval.judge.api_errors import EXTRA_FIELD, EmptyResponse, MalformedResponse
from eval.judge.messages import Answer, Request
from eval.judge.protocol import TOKEN_LIMITS, parse_response, request_parameters
from eval.judge.settings import JudgeSettings
from hub.errors import UserError
from hub.pasted import pasted_secret


class Endpoint:
    """One model behind one address. Close it after use.

    Raises:
        UserError: no model is named, or no key is in the environment where OpenAI itself is asked, or the key is none.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        import openai

        if not settings.model:
            raise UserError(
                "judge.model is not set; name the model that judges, and judge.base_url unless it is OpenAI's"
            )
        key = pasted_secret(settings.key_env)
        if not key and settings.base_url is None:
            raise UserError(
                f"no key for the judge: set {settings.key_env}, or judge.base_url for a server without keys"
            )
        self.settings = settings
        self.token_limit = TOKEN_LIMITS[0]
        """The endpoint's name for the most tokens of an answer, one of TOKEN_LIMITS."""
        # retries are the caller's: openai's own cannot be stopped, and do not know an empty account from a busy server
        self.openai = openai.OpenAI(
            api_key=key or "none", base_url=settings.base_url, timeout=settings.timeout, max_retries=0
        )

    @property
    def url(self) -> str:
        """The address up to `/v1/`."""
        return str(self.openai.base_url)

    @property
    def identity(self) -> tuple[str | None, ...]:
        """Address, model and reasoning effort: with the request, everything that changes an answer."""
        return (self.url, self.settings.model, self.settings.effort)

    def parameters(self, request: Request, token_limit: str | None = None) -> dict[str, Any]:
        """A request's parameters, by the name that this endpoint has for the most tokens, or by another."""
        return request_parameters(request, self.settings, token_limit or self.token_limit)

    def complete(self, request: Request, whole: bool = True) -> Answer:
        """One chat completion, asked for once; twice where the endpoint does not know `max_completion_tokens`.

        Args:
            request: what is asked.
            whole: an answer without the log-probabilities that were asked for is malformed, unless it is a refusal.

        Raises:
            UserError: what answers is no chat endpoint.
            MalformedResponse: the answer is none of the protocol, or not whole.
            openai.OpenAIError: see `eval.judge.api_errors.retry_delay` for which of them are worth another attempt.
        """
        import openai

        modern, older = TOKEN_LIMITS
        name = self.token_limit
        try:
            response = self.openai.chat.completions.create(**self.parameters(request, name))
        except openai.APIStatusError as error:
            said = error.response.text
            if (
                name != modern
                or error.status_code not in (400, 422)
                or not (modern in said or EXTRA_FIELD.search(said))
            ):
                raise
            response = self.openai.chat.completions.create(**self.parameters(request, older))
            self.token_limit = older
        answer = parse_response(response, request, self.settings)
        if whole and request.logprobs and not answer.first and not answer.refused:
            if not any(text.strip() for text in answer.texts):
                raise EmptyResponse("neither a word nor log-probabilities in the answer")
            raise MalformedResponse("no log-probabilities in the answer")
        return answer

    def close(self) -> None:
        """Closes the connections."""
        self.openai.close()
