"""What a newcomer waits for: `--help` and a recipe error of each command cost at most one second of CPU."""

import resource
import subprocess
import sys

import pytest

COMMANDS = ("prepare", "packing", "sft", "preferences", "prompts", "dpo", "reward", "rl", "merge", "sweep")
COMMANDS += ("pipeline", "jobs", "base", "pretrain", "ship", "shipped")
HEAVY = ("torch", "transformers", "trl", "datasets", "peft")
BAR = 1.0  # seconds


def user_time(*arguments):
    """User time of a command in seconds, its status and what it wrote."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, done


@pytest.mark.parametrize("arguments", [["--help"], ["sft.lerning_rate=1"], ["dpo.beta=[1]"]], ids=" ".join)
@pytest.mark.parametrize("name", ["sft", "pipeline"])
def test_help_and_recipe_errors_take_a_second_at_most(name, arguments):
    seconds, done = min((user_time("-m", f"training.{name}", *arguments) for _ in range(2)), key=lambda found: found[0])
    assert done.returncode == (0 if arguments == ["--help"] else 1)
    assert "Traceback" not in done.stderr
    assert seconds <= BAR


def test_no_command_imports_what_is_heavy_before_it_needs_it():
    code = (
        "import importlib, sys\n"
        f"for name in {COMMANDS!r}: importlib.import_module(f'training.{{name}}')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    _, done = user_time("-c", code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
