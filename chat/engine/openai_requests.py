"""How many requests a server gets at one time, and how long one waits for a server that is away."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from chat.engine.openai_formats import ServerAway

MAX_PAUSE = 15.0  # seconds between two attempts of one request
GAIN = 1.1  # by which twice as many requests must be faster


@dataclass
class Outage:
    """How long requests have waited for a server that is away; one outage is one line."""

    patience: float
    """Seconds until they give up; 0: at once."""
    since: float | None = None

    async def pause(self, error: ServerAway) -> None:
        """Waits before the next attempt. Raises the error itself after `patience` seconds without any answer."""
        now = asyncio.get_running_loop().time()
        first = self.since is None
        self.since = now if self.since is None else self.since
        if now - self.since >= self.patience:
            raise error
        if first:
            print(f"[engine] {error}; waiting up to {self.patience:.0f} s for it", flush=True)
        await asyncio.sleep(min(MAX_PAUSE, max(1.0, (now - self.since) / 2)) * random.uniform(0.8, 1.2))

    def over(self) -> None:
        """An answer has come."""
        self.since = None


@dataclass
class ConcurrencyProbe:
    """How many requests a server is given at one time: found by doubling while that makes it faster.

    After twice as many answers as there are requests at one time, their rate is compared with the rate before. It is
    doubled again where that rose by GAIN; where it did not twice, it is set back and left there. A server that says
    that it has too much to do halves it.
    """

    limit: int = 8
    most: int = 512
    searching: bool = True
    rate: float = 0.0
    """Answers a second at half the limit."""
    doubted: bool = False
    """Whether twice as many were no faster once; another process may have had the machine."""
    answers: int = 0
    since: float = 0.0

    def start(self, now: float) -> None:
        """A new run begins at a time in seconds: what came before it is not counted."""
        self.answers, self.since = 0, now

    def answered(self, count: int, now: float) -> None:
        """So many more answers have come, while others were still waiting for their turn."""
        self.answers += count
        if not self.searching or self.answers < 2 * self.limit:
            return
        rate, last = self.answers / max(now - self.since, 1e-9), self.limit >= self.most
        self.start(now)
        faster = rate >= GAIN * self.rate
        if faster and not last:
            self.limit, self.rate, self.doubted = min(2 * self.limit, self.most), rate, False
        elif faster or self.doubted:
            self.limit, self.searching = (self.limit if faster else self.limit // 2), False
            print(f"[engine] {self.limit} requests at one time: {max(rate, self.rate):.1f} answers/s", flush=True)
        else:
            self.doubted = True

    def too_many(self) -> None:
        """The server has refused a request for want of room."""
        self.limit, self.searching = max(1, self.limit // 2), False


async def run_probing(work: Iterable[Callable[[], Coroutine[Any, Any, None]]], probe: ConcurrencyProbe) -> None:
    """Runs coroutines, so many at one time as the probe allows; the first error cancels the others, and is raised."""
    loop, waiting = asyncio.get_running_loop(), deque(work)
    running: set[asyncio.Task[None]] = set()
    probe.start(loop.time())
    try:
        while waiting or running:
            while waiting and len(running) < probe.limit:
                running.add(loop.create_task(waiting.popleft()()))
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if waiting:
                probe.answered(len(done), loop.time())
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def run_concurrently(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs coroutines concurrently; the first error cancels the others, and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            _ = [tasks.create_task(one) for one in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
