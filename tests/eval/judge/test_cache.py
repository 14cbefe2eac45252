"""Durable cache: what is damaged or full is one line."""

import sqlite3

import pytest

from eval.judge.cache import Cache
from eval.judge.messages import Answer
from hub.errors import UserError


def test_a_damaged_cache_and_a_full_disk_are_one_line(tmp_path, monkeypatch):
    path = tmp_path / "c.sqlite"
    with_one = Cache(path)
    with_one.put("k", Answer(("yes",)))
    assert with_one.get("k") == Answer(("yes",))
    assert with_one.get("none") is None
    with_one.close()
    path.write_bytes(path.read_bytes()[:700] + b"\xff" * 3000)
    with pytest.raises(UserError, match="damaged"):
        Cache(path)
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match="damaged"):
        Cache(path)
    path.unlink()
    cache = Cache(path)

    def full(*arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(cache, "_connection", type("Full", (), {"execute": full})())
    with pytest.raises(UserError, match="disk is full"):
        cache.put("k", Answer(("yes",)))
