"""The benchmark of serving, on a small scale and without llama.cpp: its last line is what others read."""

import json
import subprocess
import sys


def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.serve", "--shapes", "starter", "--tokens", "6", "--rounds", "1"]
    done = subprocess.run([*command, "--pairs", "8", "--plain"], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    names = {"one_over_bound", "three_way_over_one", "memory_over_one", "visitors8_over_1", "first_token_s"}
    assert names | {"excess_perplexity", "start_to_first_answer_s", "bars", "held"} <= set(told)
    assert "one_over_llamacpp" not in told["bars"]  # what was not measured is not held
    assert done.returncode == (0 if told["held"] else 1)
    assert told["memory_over_one"] < 1.15
    assert -0.05 < told["excess_perplexity"] < 0.05
