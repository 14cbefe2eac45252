"""OpenAI-compatible endpoint: the HTTP client of one judge, without retries, cache or budget."""

from __future__ import annotations

import os

from eval.judge.messages import Answer, Request
from eval.judge.protocol import MalformedResponse, is_refusal, parse_response, request_parameters
from eval.judge.settings import JudgeSettings
from hub.errors import UserError


class Endpoint:
    """One model behind one address. Close it after use.

    Raises:
        UserError: no model is named, or no key is in the environment where OpenAI itself is asked.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        import openai

        if not settings.model:
            raise UserError(
                "judge.model is not set; name the model that judges, and judge.base_url unless it is OpenAI's"
            )
        key = os.environ.get(settings.key_env)
        if not key and settings.base_url is None:
            raise UserError(
                f"no key for the judge: set {settings.key_env}, or judge.base_url for a server without keys"
            )
        self.settings = settings
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

    def complete(self, request: Request, whole: bool = True) -> Answer:
        """One chat completion, asked for once.

        Args:
            request: what is asked.
            whole: an answer without the log-probabilities that were asked for is malformed, unless it is a refusal.

        Raises:
            MalformedResponse: the answer is none of the protocol, or not whole.
            openai.OpenAIError: see `eval.judge.protocol.retry_delay` for which of them are worth another attempt.
        """
        response = self.openai.chat.completions.create(**request_parameters(request, self.settings))
        answer = parse_response(response)
        if whole and request.logprobs and not answer.first and not is_refusal(response):
            raise MalformedResponse("no log-probabilities in the answer")
        return answer

    def close(self) -> None:
        """Closes the connections."""
        self.openai.close()
