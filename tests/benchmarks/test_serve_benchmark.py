"""Smoke test of the benchmark of serving: plumbing at the smallest size (no llama.cpp, not compiled), not speed."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.serve", "--shapes", "starter", "--tokens", "4", "--rounds", "1"]
    options = ["--pairs", "8", "--plain", "--servers", "--precisions", "float32"]  # beside the default's
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    names = {"one_over_bound", "three_way_over_one", "memory_over_one", "first_token_s"}
    assert names | {"excess_perplexity", "start_to_first_answer_s", "bars", "held"} <= set(figures)
    assert "one_over_llamacpp" not in figures["bars"]  # what was not measured is not held
    assert done.returncode == (0 if figures["held"] else 1)
    assert figures["memory_over_one"] < 1.15
    assert -0.05 < figures["excess_perplexity"] < 0.05
