"""Harness: a child that fails shows why, and bounds are held."""

import json
import sys

import pytest

from benchmarks.harness import finish_benchmark, meets, run_child
from hub.errors import UserError


def test_a_child_that_dies_shows_its_stderr(capsys):
    code = "import os, sys; print('terminate called', file=sys.stderr, flush=True); os.abort()"
    with pytest.raises(UserError, match=r"the engine ended with status -6: terminate called"):
        run_child([sys.executable, "-c", code], "the engine")
    assert "terminate called" in capsys.readouterr().err
    assert run_child([sys.executable, "-c", "print(3)"], "counting") == "3\n"


def test_bounds_are_held(capsys):
    bars = {"speed": (">=", 2.0), "loss": ("<=", 0.1)}
    assert meets({"speed": 2.0, "loss": 0.1}, bars)
    assert not meets({"speed": 1.9, "loss": 0.1}, bars)
    with pytest.raises(SystemExit) as end:
        finish_benchmark({"speed": 3.0, "loss": 0.2}, bars)
    assert end.value.code == 1
    last = json.loads(capsys.readouterr().out)
    assert last == {"speed": 3.0, "loss": 0.2, "bars": {"speed": [">=", 2.0], "loss": ["<=", 0.1]}, "held": False}
