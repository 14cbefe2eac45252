"""A figure as it was published and as our code gives it, and the recorded files that it is recomputed from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """Figure as published, and as our code gives it."""

    what: str
    expected: float
    got: float
    digits: int
    """Decimal places that were published."""

    def to_row(self) -> str:
        """Row of a markdown table."""
        expected, got = (f"{value:.{self.digits}f}" for value in (self.expected, self.got))
        return f"| {self.what} | {expected} | {got} | {self.got - self.expected:+.1e} |"


def read_recorded(source: Path, path: str) -> str:
    """Text of a file of a checkout or of a git directory's newest commit.

    Raises:
        FileNotFoundError: it is not there.
    """
    if (source / path).is_file():
        return (source / path).read_text("utf-8")
    command = ["git", "-C", str(source), "show", f"HEAD:{path}"]
    here = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}  # a git directory may lack its large files
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    if done.returncode:
        raise FileNotFoundError(f"no {path} in {source}")
    return done.stdout
