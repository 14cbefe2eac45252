"""What was estimated and what was spent, kept in a file beside the checkpoints."""

import time

import pytest

from training.costs import Ledger


@pytest.fixture
def clock(monkeypatch):
    """Seconds that `time.monotonic` tells."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def fails(clock):
    clock[0] += 90
    raise KeyError


def test_every_start_is_added_also_one_that_failed(clock, tmp_path):
    ledger = Ledger(tmp_path / "work", "starter")
    assert ledger.read() == {}
    ledger.estimate({"sft": 2.0, "dpo": 1.0})
    with pytest.raises(KeyError), ledger.timing("sft"):
        fails(clock)
    with Ledger(tmp_path / "work", "starter").timing("sft"):
        clock[0] += 30
    assert ledger.read() == {"sft": {"estimated": 2.0, "spent": 2.0}, "dpo": {"estimated": 1.0}}
    ledger.estimate({"sft": 3.0})
    assert ledger.read()["sft"] == {"estimated": 3.0, "spent": 2.0}
    assert Ledger(tmp_path / "work", "other").read() == {}


def test_a_stage_that_still_runs_is_told_with_what_it_has_taken(clock, tmp_path):
    ledger = Ledger(tmp_path, "starter")
    started = time.monotonic()
    clock[0] += 60
    assert ledger.with_spent("evaluation", started) == {"evaluation": {"spent": 1.0}}
    assert ledger.read() == {}
