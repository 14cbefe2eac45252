"""Smoke test of the benchmark of judge-free evaluation: plumbing at the smallest size, not speed."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.eval", "--prompts", "24", "--single", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    names = {"batched_over_single", "hits_over_single", "max_difference", "three_way_over_three_passes"}
    assert names | {"bars", "held"} <= set(figures)
    assert done.returncode == (0 if figures["held"] else 1)
    assert figures["max_difference"] < 1e-4
