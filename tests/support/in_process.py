"""Command lines called in this process, with what a subprocess would have given."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any


def run_main(main: Callable[[list[str]], Any], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Calls `main` with arguments; returns status, stdout and stderr. What is no SystemExit is raised."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    given = [str(argument) for argument in arguments]
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(given)
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=err)
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(given, status, out.getvalue(), err.getvalue())
