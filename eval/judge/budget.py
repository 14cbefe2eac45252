"""Not faster than allowed, and not dearer: per-minute limits and the budget, for all threads."""

from __future__ import annotations

import threading
import time

from eval.judge.prices import Price
from hub.errors import UserError


class RateLimiter:
    """Lets through `per_minute` units a minute, evenly; without a limit, all."""

    def __init__(self, per_minute: int | None) -> None:
        self.seconds_each = 60 / per_minute if per_minute else 0.0
        self._free = 0.0
        self._lock = threading.Lock()

    def wait(self, units: int = 1) -> None:
        if not self.seconds_each:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free)
            self._free = start + units * self.seconds_each
        time.sleep(max(0.0, start - now))


class Budget:
    """Tokens and dollars, counted as they are spent; a call that could pass the budget is refused."""

    def __init__(self, price: Price | None, budget: float | None) -> None:
        if budget is not None and price is None:
            raise UserError(
                "judge.budget is set and this model's price is not known; give judge.price_in and price_out"
            )
        self.price, self.budget = price, budget
        self.calls = self.prompt_tokens = self.answer_tokens = 0
        self._promised = 0.0
        self._lock = threading.Lock()

    def promise(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Sets the most that a call can cost aside; returns it.

        Raises:
            UserError: the budget could be passed.
        """
        if self.price is None:
            return 0.0
        most = self.price.of(prompt_tokens, answer_tokens)
        with self._lock:
            if self.budget is not None and self._spent() + self._promised + most > self.budget:
                raise UserError(
                    f"the budget of ${self.budget:.2f} would be passed (${self._spent():.4f} spent); "
                    "what was answered is kept: start again with a higher judge.budget"
                )
            self._promised += most
        return most

    def settle(self, promised: float, prompt_tokens: int, answer_tokens: int) -> None:
        """Counts what a call really took; zeros for one that was not answered."""
        with self._lock:
            self._promised -= promised
            self.calls += bool(prompt_tokens or answer_tokens)
            self.prompt_tokens += prompt_tokens
            self.answer_tokens += answer_tokens

    def _spent(self) -> float:
        return self.price.of(self.prompt_tokens, self.answer_tokens) if self.price else 0.0

    def spent(self) -> float | None:
        """US dollars so far; None where the price is not known."""
        return self._spent() if self.price else None

    def told(self) -> str:
        tokens = f"{self.calls:,} calls, {self.prompt_tokens:,} + {self.answer_tokens:,} tokens"
        return f"{tokens}, ${self._spent():.4f}" if self.price else f"{tokens}, price unknown"
