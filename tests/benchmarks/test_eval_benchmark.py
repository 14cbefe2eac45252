"""The benchmark of the evaluation, on a small scale: its last line is what others read."""

import json
import subprocess
import sys


def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.eval", "--prompts", "24", "--single", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    names = {"batched_over_single", "hits_over_single", "max_difference", "three_way_over_three_passes"}
    assert names | {"bars", "held"} <= set(told)
    assert done.returncode == (0 if told["held"] else 1)
    assert told["max_difference"] < 1e-4
