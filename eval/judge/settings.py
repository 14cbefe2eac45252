"""Which LLM judges, where, how fast, and for how much money: the recipe's `judge` section."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JudgeSettings:
    """An OpenAI-compatible endpoint."""

    model: str | None = None
    """As the endpoint calls it; null: no LLM judges."""
    base_url: str | None = None
    """Address up to `/v1`; null is OpenAI's own."""
    key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; the key itself never stands in a recipe."""
    effort: str | None = None
    """Of a reasoning model: none, low, medium, high. Most give log-probabilities with `none` alone."""
    in_flight: int = 64
    """Calls at one time."""
    requests_per_minute: int | None = None
    """At most; null: no limit but `in_flight`."""
    tokens_per_minute: int | None = None
    """At most, prompts and answers together."""
    timeout: float = 60.0
    """Seconds to wait for one answer."""
    budget: float | None = None
    """US dollars; a call that could pass it is not made."""
    price_in: float | None = None
    """US dollars per million prompt tokens, for a model that `eval.judge.prices` does not know."""
    price_out: float | None = None
    """The same for answers."""
    batch: bool = False
    """Through the Batch API: half the price, within a day. Start again to collect."""

    def __post_init__(self) -> None:
        for name in ("in_flight", "requests_per_minute", "tokens_per_minute", "timeout", "budget"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}; it takes a number above 0")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("price_in and price_out go together")
