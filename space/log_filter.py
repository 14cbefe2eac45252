"""Log without visitors' words: an error is its type and the places that it came through, never its text.

Gradio and the servers under it print the text of exceptions, and with it up to a whole request. Here every traceback
that they print, and every warning that they log, becomes one line that says where it happened.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FRAMES = 4  # innermost ones that an outline names
OURS = ("space", "chat", "hub", "app", "__main__")
"""Loggers whose messages are our own words."""


def outline(error: BaseException | None) -> str:
    """Type of an error and where it was raised, innermost first, in one line without its text."""
    if error is None:
        return "no error"
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = [f"{short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {', '.join(places) or 'an unknown place'}"


def short(file: str) -> str:
    """The last two parts of a path."""
    return "/".join(Path(file).parts[-2:])


def keep_words_out() -> None:
    """From now on no traceback of Gradio's and no warning of another package holds what a visitor sent."""
    from gradio import queueing, route_utils, routes, utils

    quiet = SimpleNamespace(print_exc=print_outline, format_exc=lambda: outline(sys.exc_info()[1]))
    for module in (queueing, route_utils, routes, utils):
        assert hasattr(module, "traceback"), f"{module.__name__} prints its errors in another way now"
        module.traceback = quiet  # type: ignore[attr-defined]
    make = logging.getLogRecordFactory()
    if getattr(make, "words_are_out", False):
        return

    def outlined(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if record.levelno >= logging.WARNING and not record.name.startswith(OURS):
            error = record.exc_info[1] if record.exc_info else None
            record.msg = f"{record.name}: {short(record.pathname)}:{record.lineno}"
            record.msg += f", {outline(error)}" if error else ""
            record.args, record.exc_info, record.exc_text = (), None, None
        return record

    outlined.words_are_out = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(outlined)


def print_outline() -> None:
    """Prints the error that is being handled as one line on stderr; `traceback.print_exc` without the text."""
    print(f"page: {outline(sys.exc_info()[1])}", file=sys.stderr, flush=True)
