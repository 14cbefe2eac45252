"""Smoke test of the benchmark of training: plumbing at the smallest size, not speed; and its arithmetic."""

import json
import subprocess
import sys

import pytest

from benchmarks.train import step_rows


def test_every_step_has_its_examples_in_as_many_rows():
    lengths = [300, 100, 200, 50, 500, 500, 400, 20]  # two steps of four: one fits two rows, the other needs three
    rows = step_rows(lengths, examples=4, size=512, multiple=2)
    assert len(rows) == 8
    assert sorted(place for row in rows[:4] for place in row) == [0, 1, 2, 3]
    assert sorted(place for row in rows[4:] for place in row) == [4, 5, 6, 7]
    assert all(sum(lengths[place] for place in row) <= 512 for row in rows)


@pytest.mark.slow
def test_its_last_line_holds_the_figures_and_the_losses_are_the_same(tiny_base):
    command = [sys.executable, "-m", "benchmarks.train", "--shapes", str(tiny_base), "--steps", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"packed_over_newcomer", "loss_gap", "bars", "held"} <= set(figures)
    assert done.returncode == (0 if figures["held"] else 1)
    assert figures["loss_gap"] < 0.001
