"""Pseudonyms: the same for a day, others the next day and in another process, and never the name."""

import time

from space.pseudonyms import Pseudonyms


def test_a_visitor_has_one_for_a_day(monkeypatch):
    names = Pseudonyms()
    today = [names.of("address", "10.0.0.1") for _ in range(3)]
    assert len(set(today)) == 1
    assert (len(today[0]), int(today[0], 16) >= 0) == (16, True)
    assert len({today[0], names.of("address", "10.0.0.2"), names.of("session", "10.0.0.1")}) == 3
    assert Pseudonyms().of("address", "10.0.0.1") != today[0], "nobody can work it out from the address"
    tomorrow = time.gmtime(time.time() + 86_400)
    monkeypatch.setattr(time, "gmtime", lambda *_: tomorrow)
    assert names.of("address", "10.0.0.1") != today[0]
    assert names.of("session", "\ud800")
