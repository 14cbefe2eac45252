"""Costs in hindsight: minutes that each stage of a family was estimated to take, and those that it took.

Kept in the work folder, one file for each size. Estimated is what the last `--estimate` said of this machine; spent is
what all starts of the chain took together, but for one that was ended by SIGKILL, which writes nothing down.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Costs = dict[str, dict[str, float]]
"""By stage: `estimated` and `spent`, in minutes, each where it is known."""


class Ledger:
    """Costs of a family, kept in a file."""

    def __init__(self, work: Path, size: str) -> None:
        self.path = work / f"costs-{size}.json"

    def read(self) -> Costs:
        """What is known so far."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def estimate(self, minutes: Mapping[str, float]) -> None:
        """Keeps the minutes that the stages were estimated to take, in place of an estimate before."""
        costs = self.read()
        for stage, value in minutes.items():
            costs.setdefault(stage, {})["estimated"] = round(value, 2)
        self._write(costs)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Adds what the block takes to what was spent on a stage, also where it ends in an error."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._write(self.with_spent(stage, started))

    def with_spent(self, stage: str, started: float) -> Costs:
        """What is known so far, and what a stage has taken since (by `time.monotonic`)."""
        costs = self.read()
        own = costs.setdefault(stage, {})
        own["spent"] = round(own.get("spent", 0.0) + (time.monotonic() - started) / 60, 2)
        return costs

    def _write(self, costs: Costs) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(costs, indent=2))
        draft.replace(self.path)
