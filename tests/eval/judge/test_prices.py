"""Prices are known, given, or unknown: never 0."""

from eval.judge.prices import BATCH, PRICES, price_of
from eval.judge.settings import JudgeSettings


def test_prices_are_said_or_unknown():
    assert price_of(JudgeSettings(model="gpt-4o-mini")) == PRICES["gpt-4o-mini"]
    assert price_of(JudgeSettings(model="gpt-4o-mini", batch=True)).prompt == PRICES["gpt-4o-mini"].prompt * BATCH
    assert price_of(JudgeSettings(model="gpt-4o-mini", base_url="http://elsewhere")) is None
    assert price_of(JudgeSettings(model="new", price_in=1, price_out=2)).of(1_000_000, 500_000) == 2
