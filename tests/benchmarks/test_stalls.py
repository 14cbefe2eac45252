"""Smoke test of the benchmark of stalls: plumbing at the smallest size, not speed."""

import json
import subprocess
import sys

import pytest

from benchmarks.stalls import busy_neighbour, quantile


def test_quantiles_by_hand():
    values = [float(number) for number in range(1, 101)]
    assert [quantile(values, share) for share in (0.5, 0.95, 1)] == [50, 95, 100]
    assert quantile([3.0], 0.5) == 3
    assert quantile([3.0, 1.0, 2.0], 0.95) == 3


def test_the_neighbour_leaves():
    with busy_neighbour():
        pass  # it ends with the block, or this test would


@pytest.mark.slow
def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.stalls", "--plain", "--answers", "2", "--spinning", "1"]
    done = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"first_answer_s", "alone_p95_s", "neighbour_p95_s", "spinning_neighbour_max_s"} <= set(figures)
    assert set(figures["bars"]) <= set(figures)
    assert done.returncode == (0 if figures["held"] else 1)
