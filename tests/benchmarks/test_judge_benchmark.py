"""Smoke test of the benchmark of judge client: plumbing at the smallest size, not speed."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.judge", "--calls", "128", "--prompts", "100", "--replies", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    names = {"calls_over_bound", "calls_over_raw", "memory_growth_mb", "dedup_seconds", "bulk_over_single"}
    assert names | {"bars", "held"} <= set(figures)
    assert done.returncode == (0 if figures["held"] else 1)
    assert figures["bulk_same_replies"] == 1
    assert 0 < figures["calls_over_bound"] < 1.05
