"""How torch's threads wait, in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SHOW = f"; import os, sys; print('torch' in sys.modules, *(os.environ.get(name) for name in {SETTINGS}))"


@pytest.mark.parametrize("module", ["app", "training.sft", "training.pretrain", "eval.evaluation", "benchmarks.serve"])
def test_threads_that_wait_sleep_in_every_process(module):
    bare = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    run = [sys.executable, "-c", f"import {module}{SHOW}"]
    assert subprocess.check_output(run, env=bare, text=True) == "False PASSIVE 2000\n"


def test_what_the_environment_says_goes_before():
    asked = os.environ | {"OMP_WAIT_POLICY": "ACTIVE"}
    said = subprocess.check_output([sys.executable, "-c", f"import chat{SHOW}"], env=asked, text=True)
    assert said.split()[1] == "ACTIVE"
