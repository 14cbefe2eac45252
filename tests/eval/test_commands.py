"""Command lines of the room: a real process each, and nothing heavy is imported for their help."""

import json
import subprocess
import sys

import pytest

COMMANDS = (
    *("eval.evaluation", "eval.geval.__main__", "eval.report.__main__", "eval.human.__main__", "eval.agreement"),
    *("eval.samples", "eval.qualify.__main__"),
    *("eval.judge.stub", "benchmarks.eval", "benchmarks.hub", "benchmarks.judge", "benchmarks.prepare"),
    *("benchmarks.serve", "benchmarks.starter", "benchmarks.train"),
)
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "pandas", "scipy", "matplotlib", "openai", "gradio")
CODE = """
import contextlib, importlib, io, json, resource, sys
name, heavy = sys.argv[1], sys.argv[2].split(",")
text = io.StringIO()
with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
    importlib.import_module(name).main(["--help"])
seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime
print(json.dumps([text.getvalue(), sorted(set(heavy) & set(sys.modules)), seconds]))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_comes_at_once(name):
    done = subprocess.run(
        [sys.executable, "-c", CODE, name, ",".join(HEAVY)], capture_output=True, text=True, check=True
    )
    text, heavy, seconds = json.loads(done.stdout)
    assert text.startswith("usage: ")
    assert heavy == []
    assert seconds < 2  # on any machine; a second on the slowest that we know
