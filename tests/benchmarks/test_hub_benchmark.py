"""The benchmark of the local Hub, on a small scale: its last line is what others read."""

import json
import subprocess
import sys


def test_its_last_line_holds_the_figures():
    command = [sys.executable, "-m", "benchmarks.hub", "--megabytes", "12", "--files", "30", "--repeats", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"large_file_over_copy", "small_files_over_git", "server_growth_mb", "bars", "held"} <= set(told)
    assert done.returncode == (0 if told["held"] else 1)
    assert told["upload_large_seconds"] > 0
    assert "| upload small | " in done.stdout
