"""Rate limiter, and the budget that is never passed."""

import time

import pytest

from eval.judge.budget import Budget, RateLimiter
from eval.judge.client import Client
from hub.errors import UserError
from tests.support.judging import question


def test_limits_hold():
    limit, started = RateLimiter(600), time.monotonic()
    for _ in range(5):
        limit.wait()
    assert 0.39 < time.monotonic() - started < 0.8
    assert RateLimiter(None).wait() is None


def test_a_budget_is_never_passed(served, tmp_path):
    stub, settings = served(price_in=1000.0, price_out=1000.0, budget=0.5, in_flight=8)
    with Client(settings, tmp_path / "c") as client:
        with pytest.raises(UserError, match=r"budget of \$0.50"):
            client.ask([question(n) for n in range(500)])
        assert 0.2 < client.budget.spent() <= 0.5
        paid = client.budget.calls
        assert paid == stub.calls == len(client.cache)


def test_a_budget_without_a_price_is_refused():
    with pytest.raises(UserError, match="not known"):
        Budget(None, 1.0)
    assert "price unknown" in Budget(None, None).summarize()
