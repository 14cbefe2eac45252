"""How many requests a server gets at one time: found by doubling, kept, halved where it refuses."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from chat.engine.openai_formats import ServerBusy
from chat.engine.openai_requests import ConcurrencyProbe, Outage, run_probing
from chat.engine.threads import run_in_own_thread


class Server:
    """Answers so many requests at one time, each in 10 ms; the others wait their turn."""

    def __init__(self, slots):
        self.slots, self.most, self.inside = asyncio.Semaphore(slots), 0, 0

    async def answer(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        async with self.slots:
            await asyncio.sleep(0.01)
        self.inside -= 1


@pytest.mark.parametrize(("slots", "least", "most"), [(1, 4, 64), (16, 8, 256)])
def test_it_is_about_as_many_as_the_server_can_use(slots, least, most):
    async def run():
        server, probe = Server(slots), ConcurrencyProbe(limit=4)
        await run_probing([server.answer] * 4_000, probe)
        return server, probe

    server, probe = run_in_own_thread(asyncio.run, run())
    assert not probe.searching
    assert least <= probe.limit <= most
    assert server.most <= 2 * probe.limit


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ({8: [10], 16: [20], 32: [40], 64: [43, 43]}, 32),
        ({8: [10], 16: [9, 20], 32: [21, 19]}, 16),  # one that is slow by chance does not end the search
        ({8: [10], 16: [20], 32: [40], 64: [80], 128: [160], 256: [320], 512: [640]}, 512),
        ({8: [10], 16: [10, 10]}, 8),
    ],
)
def test_doubling_ends_where_it_twice_gives_less_than_a_tenth_and_goes_back(rates, found):
    probe, now = ConcurrencyProbe(), 0.0
    probe.start(now)
    while probe.searching:
        asked = probe.limit
        now += 2 * asked / rates[asked].pop(0)
        probe.answered(2 * asked, now)
    assert probe.limit == found
    assert not any(rates.values())


def test_what_came_before_a_run_is_not_counted():
    probe = ConcurrencyProbe()
    probe.start(0.0)
    probe.answered(15, 1.0)
    probe.start(1_000.0)  # an hour of judging, say
    probe.answered(16, 1_001.0)
    assert (probe.limit, probe.rate) == (16, 16.0)


def test_a_server_that_refuses_gets_half():
    probe = ConcurrencyProbe(limit=64)
    probe.too_many()
    assert (probe.limit, probe.searching) == (32, False)
    for _ in range(10):
        probe.too_many()
    assert probe.limit == 1


def test_the_first_error_ends_all_and_is_raised():
    ended = []

    async def one(place):
        try:
            if place == 3:
                raise KeyError("the third")
            await asyncio.sleep(60)
        finally:
            ended.append(place)

    with pytest.raises(KeyError, match="the third"):
        run_in_own_thread(asyncio.run, run_probing([partial(one, place) for place in range(100)], ConcurrencyProbe()))
    assert sorted(ended) == list(range(8))


def test_without_patience_an_outage_is_an_error_at_once():
    began = time.monotonic()
    with pytest.raises(ServerBusy):
        run_in_own_thread(asyncio.run, Outage(0).pause(ServerBusy("no")))
    assert time.monotonic() - began < 0.5
