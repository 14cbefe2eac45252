"""One visitor's Compare tab without a browser, with an engine that reads from a script."""

from __future__ import annotations

import re
from types import SimpleNamespace

from space.ballots import Ballots
from space.compare_handlers import CompareHandlers
from tests.support.script_engine import Script

REVISIONS = {"base": "a" * 40, "sft": "b" * 40, "dpo": "c" * 40}
KNOBS = (0.9, 25, 0.95)


def said(step: list) -> list[str]:
    """The replies of the columns; "" in one that is empty."""
    return [re.sub(r"</p>.*", "", column.partition('dir="auto">')[2]) for column in step[:3]]


def cues(step: list) -> list[str]:
    return [re.sub(r"</p>.*", "", column.partition('class="cue">')[2]) for column in step[:3]]


class Page:
    """One visitor's Compare tab: its session, and what the last stream left on it."""

    def __init__(self, session: str = "s1", ballots: Ballots | None = None, **replies: str) -> None:
        self.kept = []
        self.deleted = []
        self.ballots = ballots or Ballots(REVISIONS, self.kept.append, self.deleted.append)
        self.engine = Script(**(replies or {"base": "One.", "sft": "Two two.", "dpo": "Three."}))
        self.comparing = CompareHandlers(self.engine, 1, self.ballots)
        self.request = SimpleNamespace(session_hash=session, client=("10.0.0.1", 1))

    def ask(self, knobs: tuple[float, int, float] = KNOBS, scene: str = "", line: str = "Who?") -> str:
        """Returns the id of the ballot."""
        self.steps = list(self.comparing.blind(self.request, line, *knobs, scene))
        return self.steps[-1][6]

    def vote(self, button: str, id: str) -> list:
        return self.comparing.vote(self.request, button, id)
