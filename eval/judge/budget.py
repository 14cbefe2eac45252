"""Rate limiter and budget of a judge, shared by all threads."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from eval.judge.prices import Price
from hub.errors import UserError


class RateLimiter:
    """Rate limiter that lets through `per_minute` units a minute, evenly spaced; None lets through all."""

    def __init__(self, per_minute: int | None) -> None:
        self.seconds_each = 60 / per_minute if per_minute else 0.0
        self._free = 0.0
        self._lock = threading.Lock()

    def wait(self, units: int = 1) -> None:
        """Blocks until so many units may pass."""
        if not self.seconds_each:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free)
            self._free = start + units * self.seconds_each
        time.sleep(max(0.0, start - now))


class Use(NamedTuple):
    """Tokens that a call took; zeros for one that was not answered."""

    prompt_tokens: int
    answer_tokens: int
    estimated: bool = False
    """Whether nobody counted them, and they are the most that it could take."""
    lost: bool = False
    """Whether its answer was of no use or came too late; the endpoint may have charged it."""


class Budget:
    """Budget in US dollars, with reservations: a call that could pass it is refused before it is made.

    Args:
        price: of the model; None where it is not known.
        limit: the most to spend, in US dollars; None for no limit.

    Raises:
        UserError: there is a limit and no price.
    """

    def __init__(self, price: Price | None, limit: float | None) -> None:
        if limit is not None and price is None:
            raise UserError(
                "judge.budget is set and this model's price is not known; give judge.price_in and price_out"
            )
        self.price, self.limit = price, limit
        self.calls = self.prompt_tokens = self.answer_tokens = self.estimated = 0
        self._reserved = 0.0
        self._lock = threading.Lock()

    def reserve(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Reserves the most that a call can cost, in US dollars, and returns it; `settle` gives it back.

        Raises:
            UserError: the budget could be passed.
        """
        if self.price is None:
            return 0.0
        most = self.price.of(prompt_tokens, answer_tokens)
        with self._lock:
            if self.limit is not None and self._spent() + self._reserved + most > self.limit:
                raise UserError(
                    f"the budget of ${self.limit:.2f} would be passed (${self._spent():.4f} spent); "
                    "what was answered is kept: start again with a higher judge.budget"
                )
            self._reserved += most
        return most

    def settle(self, reserved: float, used: Use) -> None:
        """Releases a reservation and counts what the call took."""
        with self._lock:
            self._reserved -= reserved
            self.calls += bool(used.prompt_tokens or used.answer_tokens) and not used.lost
            self.estimated += used.estimated
            self.prompt_tokens += used.prompt_tokens
            self.answer_tokens += used.answer_tokens

    def _spent(self) -> float:
        return self.price.of(self.prompt_tokens, self.answer_tokens) if self.price else 0.0

    def spent(self) -> float | None:
        """US dollars so far; None where the price is not known."""
        return self._spent() if self.price else None

    def summarize(self) -> str:
        """Calls, tokens and US dollars so far, in words."""
        tokens = f"{self.calls:,} calls, {self.prompt_tokens:,} + {self.answer_tokens:,} tokens"
        if self.estimated:
            tokens += f" ({self.estimated:,} calls without usage, or whose answer was lost, count as their most)"
        return f"{tokens}, ${self._spent():.4f}" if self.price else f"{tokens}, price unknown"
