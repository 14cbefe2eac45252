"""The project installs: a wheel of it, somewhere else, has all that the commands need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "training": [
        *("pipeline", "prepare", "packing", "base", "pretrain", "sft", "dpo", "reward", "rl", "merge", "sweep"),
        *("prompts", "preferences", "jobs", "ship", "shipped"),
    ],
    "hub": ["local", "lineage", "release", "space", "gguf"],
    "eval": ["evaluation", "geval", "report", "human", "agreement", "judge.stub"],
    "benchmarks": ["starter", "hub", "judge", "eval", "train", "prepare", "serve"],
}
COMMANDS = ["app", *(f"{room}.{name}" for room, names in ROOMS.items() for name in names)]
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "gradio", "pandas", "scipy")
"""Packages that take seconds to import: whoever asks for help, or has mistyped a key, does not wait for them."""
HELP = f"""
import contextlib, io, json, runpy, sys
said = {{}}
for command in {COMMANDS!r}:
    sys.argv, out = [command, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            runpy.run_module(command, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            out.write(f"\\nexit {{end.code}}")
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    said[command] = out.getvalue(), heavy
print(json.dumps({{"said": said, "hub": sys.modules["hub"].__file__}}))
"""


def files() -> list[str]:
    """What git knows of, by path; without git, all that is no cache."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [name for name in done.stdout.split("\0") if name]
    found = (path.relative_to(ROOT) for room in (*ROOMS, "chat", "stats", "space") for path in (ROOT / room).rglob("*"))
    kept = [path.as_posix() for path in found if "__pycache__" not in path.parts]
    return [*kept, "app.py", "pyproject.toml", "README.md", "LICENSE", "requirements.txt"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what git knows, so that nothing is left behind here."""
    scratch = tmp_path_factory.mktemp("wheel")
    for name in files():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            target = scratch / "copy" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(ROOT / name, target) if _same_disk(scratch) else target.write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(scratch)]
    done = subprocess.run([*build, str(scratch / "copy")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(scratch.glob("*.whl"))


def _same_disk(folder: Path) -> bool:
    return folder.stat().st_dev == ROOT.stat().st_dev


def test_the_wheel_has_every_file_that_the_code_reads(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    rooms = ("chat/", "stats/", "hub/", "space/", "training/", "eval/", "benchmarks/")
    wanted = {name for name in files() if name.startswith(rooms) and (ROOT / name).is_file()}
    assert {name for name in wanted - inside if not name.endswith(".md")} == set()
    assert "app.py" in inside


def test_every_command_helps_from_another_folder(wheel, tmp_path):
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (tmp_path / "elsewhere").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HELP],
        cwd=tmp_path / "elsewhere",
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["hub"].startswith(str(installed))
    for command, (said, heavy) in found["said"].items():
        assert said.startswith("usage:"), f"{command}: {said[-2000:]}"
        assert said.endswith("exit 0"), f"{command}: {said[-2000:]}"
        assert not heavy, f"{command} --help imports {heavy}"
