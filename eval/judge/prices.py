"""Prices of judge models. They change: the table has a date, and a model that is not in it has no price, not 0."""

from __future__ import annotations

from typing import NamedTuple

from eval.judge.settings import JudgeSettings

DATE = "2025-06"  # when the table was last known to be right; there is no network where this is written
BATCH = 0.5  # the Batch API's part of the price


class Price(NamedTuple):
    """Price in US dollars per million tokens."""

    prompt: float
    answer: float

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """US dollars of so many tokens."""
        return (prompt_tokens * self.prompt + answer_tokens * self.answer) / 1e6


PRICES = {
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-mini": Price(0.15, 0.60),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
}
"""OpenAI's, on DATE. Look at the provider's page before you spend; `price_in` and `price_out` go before this table."""


def price_of(settings: JudgeSettings) -> Price | None:
    """Price of the settings' model, halved in a batch; None where nobody has given it."""
    if settings.price_in is not None and settings.price_out is not None:
        found: Price | None = Price(settings.price_in, settings.price_out)
    else:  # a price of OpenAI's holds at OpenAI alone
        found = PRICES.get(settings.model or "") if settings.base_url is None else None
    part = BATCH if settings.batch else 1.0
    return Price(found.prompt * part, found.answer * part) if found else None
