"""How much the tests hold the code to: `python -m tests.support.assertions [REVISION]` counts it, here or at a commit.

An assertion is an `assert` or a `pytest.raises`; a case is what pytest would run, parameters aside.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path


def sources(revision: str | None) -> Iterator[tuple[str, str]]:
    """Path and text of every Python file of the tests."""
    if revision is None:
        for path in sorted(Path("tests").rglob("*.py")):
            yield str(path), path.read_text("utf-8")
        return
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", revision, "tests"], capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        if name.endswith(".py"):
            shown = subprocess.run(["git", "show", f"{revision}:{name}"], capture_output=True, text=True, check=True)
            yield name, shown.stdout


def count(text: str) -> tuple[int, int]:
    """Assertions and test functions of one file."""
    assertions = cases = 0
    for node in ast.walk(ast.parse(text)):
        assertions += isinstance(node, ast.Assert)
        assertions += isinstance(node, ast.Attribute) and node.attr == "raises"
        cases += isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    return assertions, cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="a commit (default: the files as they are)")
    parser.add_argument("--files", action="store_true", help="a line for each file")
    given = parser.parse_args()
    counted = {path: count(text) for path, text in sources(given.revision)}
    if given.files:
        for path, (assertions, cases) in counted.items():
            print(f"{assertions:5} {cases:4}  {path}")
    assertions, cases = (sum(column) for column in zip(*counted.values(), strict=True))
    print(f"{assertions:,} assertions in {cases:,} test functions of {len(counted)} files")


if __name__ == "__main__":
    main()
