"""The one client for every AI judgement: an OpenAI-compatible endpoint, asked by threads, paid for once.

`Client.ask` answers requests in any number. What was answered before comes from the cache; the rest is asked with
bounded concurrency, at the pace and within the budget of the settings. What passes (429, 5xx, a broken connection, half
an answer) is tried again; what does not (no quota, a wrong key, an unknown model) stops everything with one line.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from eval.judge.batch import through_batch
from eval.judge.budget import Budget, RateLimiter
from eval.judge.cache import Cache
from eval.judge.messages import Answer, Request
from eval.judge.prices import price_of
from eval.judge.protocol import (
    CHARACTERS_A_TOKEN,
    MalformedResponse,
    is_refusal,
    parse_response,
    request_parameters,
    retry_delay,
)
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

if TYPE_CHECKING:
    pass

ATTEMPTS = 8
DIRECTLY = 50  # calls that are not worth a batch: a probe, or what went wrong in the last one
LONGEST_WAIT = 60.0  # seconds between two attempts, whatever Retry-After asks


class Client:
    """Asks one judge. Close it after use.

    Raises UserError where no key is in the environment, or a budget is given and no price known.
    """

    def __init__(self, settings: JudgeSettings, cache: Path, progress: bool = True) -> None:
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
        self.purse = Budget(price_of(settings), settings.budget)
        self.cache = Cache(cache)
        self.progress = progress
        self.retries = 0
        self._requests, self._tokens = (
            RateLimiter(settings.requests_per_minute),
            RateLimiter(settings.tokens_per_minute),
        )
        self._stop = threading.Event()
        # ours are the retries: openai's own cannot be stopped, and do not know an empty account from a busy server
        self.openai = openai.OpenAI(
            api_key=key or "none", base_url=settings.base_url, timeout=settings.timeout, max_retries=0
        )

    def close(self) -> None:
        self.openai.close()
        self.cache.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def asked(self) -> tuple[str | None, ...]:
        """Who is asked: with the request, all that changes an answer."""
        return (str(self.openai.base_url), self.settings.model, self.settings.effort)

    def ask(self, requests: Sequence[Request], what: str = "asking") -> list[Answer]:
        """Answers every request, in order; equal ones are asked once.

        Raises:
            UserError: the endpoint will not answer, or the budget is at its end. What was answered is in the cache.
            eval.judge.batch.BatchPending: the settings say `batch`, and one is on its way.
        """
        from tqdm import tqdm

        keys = [request.key(*self.asked) for request in requests]
        open_ones = dict(zip(keys, requests, strict=True))
        found = {key: answer for key in open_ones if (answer := self.cache.get(key))}
        open_ones = {key: request for key, request in open_ones.items() if key not in found}
        if self.settings.batch and len(open_ones) > DIRECTLY:
            found |= through_batch(self, open_ones)
            open_ones = {key: request for key, request in open_ones.items() if key not in found}
        self._stop.clear()
        bar = tqdm(total=len(open_ones), desc=what, unit="call", disable=None if self.progress else True)

        def work(key: str, request: Request) -> None:
            if self._stop.is_set():
                return
            try:
                answer = self.call(request)
                self.cache.put(key, answer)
                found[key] = answer
                bar.update()
                bar.set_postfix_str(self.purse.told(), refresh=False)
            except BaseException:
                self._stop.set()  # the others finish what they have sent, and send no more
                raise

        with bar, ThreadPoolExecutor(self.settings.in_flight) as pool:
            for done in [pool.submit(work, key, request) for key, request in open_ones.items()]:
                done.result()
        return [found[key] for key in keys]

    def call(self, request: Request, whole: bool = True) -> Answer:
        """One answer from the endpoint, tried as often as what goes wrong is of the kind that passes.

        Args:
            whole: an answer without the log-probabilities that were asked for is one that went wrong.
        """
        most_prompt = sum(len(content) for _, content in request.messages) // CHARACTERS_A_TOKEN + 20
        for attempt in range(1, ATTEMPTS + 1):
            if self._stop.is_set():
                raise UserError("stopped; what was answered is kept")
            promised = self.purse.promise(most_prompt, request.max_tokens * request.n)
            used = (0, 0)
            try:
                self._requests.wait()
                self._tokens.wait(most_prompt + request.max_tokens * request.n)
                answer = self._once(request, whole)
                used = (answer.prompt_tokens, answer.answer_tokens)
                return answer
            except Exception as error:
                wait = retry_delay(error, self.settings)
                if attempt == ATTEMPTS:
                    raise UserError(
                        f"the judge at {self.openai.base_url} is in trouble ({error or type(error).__name__}), "
                        f"{ATTEMPTS} times in a row; what was answered is kept, run again later"
                    ) from error
                self.retries += 1
            finally:
                self.purse.settle(promised, *used)
            self._stop.wait(
                min(wait if wait is not None else 0.25 * 2**attempt, LONGEST_WAIT) * random.uniform(0.8, 1.2)
            )
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: Request, whole: bool) -> Answer:
        response = self.openai.chat.completions.create(**request_parameters(request, self.settings))
        answer = parse_response(response)
        if whole and request.logprobs and not answer.first and not is_refusal(response):
            raise MalformedResponse("no log-probabilities in the answer")
        return answer


Ask = Callable[[Sequence[Request]], list[Answer]]
