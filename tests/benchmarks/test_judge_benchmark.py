"""The benchmark of the judge client, on a small scale: its last line is what others read."""

import json
import subprocess
import sys


def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.judge", "--calls", "192", "--prompts", "200", "--replies", "16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    names = {"calls_over_bound", "calls_over_raw", "memory_growth_mb", "dedup_seconds", "bulk_over_single"}
    assert names | {"bars", "held"} <= set(told)
    assert done.returncode == (0 if told["held"] else 1)
    assert told["bulk_same_replies"] == 1
    assert 0 < told["calls_over_bound"] < 1.05
