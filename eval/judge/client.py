"""Judge client with retries, exponential backoff, rate limits, a budget and a durable cache; asked by threads.

`Client.ask` answers requests in any number. What was answered before comes from the cache; the rest is asked with
bounded concurrency, at the rate and within the budget of the settings. Transient errors (429, 5xx, a broken connection,
half an answer) are retried; permanent ones (no quota, a wrong key, an unknown model) stop everything with one line. A
prompt that the endpoint filters, or that is too long for it, is answered as refused: unscored, and not asked again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from eval.judge.api_errors import EmptyResponse, PromptRejected, in_words, never_arrived, retry_delay, was_answered
from eval.judge.batch import ask_batch
from eval.judge.budget import Budget, RateLimiter, Use
from eval.judge.cache import Cache
from eval.judge.endpoint import Endpoint
from eval.judge.messages import Answer, Request
from eval.judge.prices import price_of
from eval.judge.protocol import answer_to_rejection, prompt_tokens_bound
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

MAX_ATTEMPTS = 8
EMPTY_ATTEMPTS = 3  # of a prompt that is answered with nothing: it is filtered without a word
UNREACHED_ATTEMPTS = 3  # of an endpoint that has answered nothing yet: its address may be wrong
MIN_BATCH_REQUESTS = 50  # this many or fewer are not worth a batch: a probe, or what went wrong in the last one
MAX_BACKOFF = 60.0  # seconds between two attempts, whatever Retry-After asks


class Client:
    """Client of one judge. Close it after use.

    Args:
        settings: which model, where, how fast, and for how much money.
        cache: path of the SQLite file that keeps every answer.
        progress: whether to draw a progress bar.

    Raises:
        UserError: no key is in the environment, or a budget is given and no price known.
    """

    def __init__(self, settings: JudgeSettings, cache: Path, progress: bool = True) -> None:
        self.settings = settings
        self.endpoint = Endpoint(settings)
        self.budget = Budget(price_of(settings), settings.budget)
        self.cache = Cache(cache)
        self.progress = progress
        self.retries = 0
        self._reached = False
        self._request_rate = RateLimiter(settings.requests_per_minute)
        self._token_rate = RateLimiter(settings.tokens_per_minute)
        self._stop = threading.Event()

    def close(self) -> None:
        """Closes the connections and the cache."""
        self.endpoint.close()
        self.cache.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(self, requests: Sequence[Request], description: str = "asking") -> list[Answer]:
        """Answers every request, in order; equal ones are asked once (deduplication by `Request.key`).

        Raises:
            UserError: the endpoint will not answer, or the budget is at its end. What was answered is in the cache.
            eval.judge.batch.BatchPending: the settings say `batch`, and one is on its way.
        """
        from tqdm import tqdm

        keys = [request.key(*self.endpoint.identity) for request in requests]
        pending = dict(zip(keys, requests, strict=True))
        found = {key: answer for key in pending if (answer := self.cache.get(key))}
        pending = {key: request for key, request in pending.items() if key not in found}
        if self.settings.batch and len(pending) > MIN_BATCH_REQUESTS:
            found |= ask_batch(self.endpoint, self.cache, self.budget, pending)
            pending = {key: request for key, request in pending.items() if key not in found}
        self._stop.clear()
        bar = tqdm(total=len(pending), desc=description, unit="call", disable=None if self.progress else True)

        def work(key: str, request: Request) -> None:
            if self._stop.is_set():
                return
            try:
                answer = self.answer(request)
                self.cache.put(key, answer)
                found[key] = answer
                bar.update()
                bar.set_postfix_str(self.budget.summarize(), refresh=False)
            except BaseException:
                self._stop.set()  # the others finish what they have sent, and send no more
                raise

        with bar, ThreadPoolExecutor(self.settings.in_flight) as pool:
            for done in [pool.submit(work, key, request) for key, request in pending.items()]:
                done.result()
        if refused := sum(answer.refused for answer in found.values()):
            print(f"[judge] {description}: {refused:,} of {len(found):,} refused or filtered by the judge", flush=True)
        return [found[key] for key in keys]

    def answer(self, request: Request) -> Answer:
        """As `call`, but a prompt that the endpoint rejects is answered as refused, and counted."""
        try:
            return self.call(request)
        except PromptRejected:
            return answer_to_rejection(request)

    def call(self, request: Request, whole: bool = True) -> Answer:
        """One answer from the endpoint; transient errors are retried with exponential backoff and jitter.

        Args:
            request: what is asked.
            whole: an answer without the log-probabilities that were asked for is one that went wrong.

        Raises:
            UserError: a permanent error, the budget's end, or MAX_ATTEMPTS transient errors in a row;
                UNREACHED_ATTEMPTS where the endpoint has never answered.
        """
        prompt_tokens, answer_tokens = prompt_tokens_bound(request), request.max_tokens * request.n
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if self._stop.is_set():
                raise UserError("stopped; what was answered is kept")
            reserved = self.budget.reserve(prompt_tokens, answer_tokens)
            used = Use(0, 0)
            try:
                self._request_rate.wait()
                self._token_rate.wait(prompt_tokens + answer_tokens)
                answer = self.endpoint.complete(request, whole)
                used = Use(answer.prompt_tokens, answer.answer_tokens, answer.estimated)
                self._reached = True
                return answer
            except Exception as error:
                if was_answered(error):
                    used = Use(prompt_tokens, answer_tokens, estimated=True, lost=True)
                wait = retry_delay(error, self.settings)
                self._reached = self._reached or not (never_arrived(error) or isinstance(error, ValueError))
                if isinstance(error, EmptyResponse) and attempt == EMPTY_ATTEMPTS:
                    raise PromptRejected(
                        f"the judge at {self.endpoint.url} answers this prompt with nothing"
                    ) from error
                if attempt == (MAX_ATTEMPTS if self._reached else UNREACHED_ATTEMPTS):
                    raise UserError(
                        f"the judge at {self.endpoint.url} is in trouble ({in_words(error)}), {attempt} times in a "
                        "row; check judge.base_url and the server; what was answered is kept, run again later"
                    ) from error
                self.retries += 1
            finally:
                self.budget.settle(reserved, used)
            backoff = min(wait if wait is not None else 0.25 * 2**attempt, MAX_BACKOFF)
            self._stop.wait(backoff * random.uniform(0.8, 1.2))
        raise AssertionError("the last attempt returns or raises")
