"""Smoke test of the benchmark of local Hub: plumbing at the smallest size, not speed."""

import json
import subprocess
import sys


def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.hub", "--megabytes", "12", "--files", "10", "--repeats", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("}"), done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"large_file_over_copy", "small_files_over_git", "server_growth_mb", "bars", "held"} <= set(figures)
    assert done.returncode == (0 if figures["held"] else 1)
    assert figures["upload_large_seconds"] > 0
    assert "| upload small | " in done.stdout
