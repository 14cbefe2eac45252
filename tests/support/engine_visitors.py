"""Visitors of an engine in threads of their own, and a decoder that can be held between two steps."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

from chat.generate import Partial

SECONDS = 60  # of patience; a test that waits this long has found a deadlock


class Gate:
    """A decoder that can be held, and that notes how many rows each of its steps had."""

    def __init__(self, decoder):
        self.decoder, self.open, self.steps = decoder, threading.Event(), []
        self.open.set()

    def __getattr__(self, name):
        return getattr(self.decoder, name)

    def __call__(self, cache, tokens, past_lengths, variants):
        self.steps.append(len(tokens))
        assert self.open.wait(SECONDS)
        return self.decoder(cache, tokens, past_lengths, variants)

    @contextmanager
    def held(self):
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()


class Visitor(threading.Thread):
    """Somebody who asks and reads to the end."""

    def __init__(self, engine, *request):
        super().__init__(daemon=True)
        self.answers, self.error = [], None
        self.ask = lambda: engine.stream(*request)
        self.start()

    def run(self):
        try:
            self.answers.extend(self.ask())
        except Exception as error:
            self.error = error

    def last(self) -> list[Partial]:
        self.join(SECONDS)
        assert not self.is_alive()
        assert self.error is None
        return self.answers[-1]


def wait_until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
