"""Criteria of G-Eval, each with its scale, and the two questions, from `criteria.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from hub.errors import UserError


class Scale(NamedTuple):
    """Scale of a criterion: the whole numbers from `low`, the worst, to `high`, the best."""

    low: int = 1
    high: int = 5

    @property
    def labels(self) -> list[str]:
        """What a judge may answer, in order."""
        return [str(score) for score in range(self.low, self.high + 1)]

    @property
    def long_labels(self) -> list[str]:
        """Labels of several digits, which are one token of some tokenizers and several of others."""
        return [label for label in self.labels if len(label) > 1]

    @property
    def form(self) -> str:
        """What the question asks for."""
        return "one whole number" if self.long_labels else "one digit"

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


class Criterion(NamedTuple):
    """Criterion by which a reply is scored."""

    name: str
    definition: str
    scale: Scale = Scale()

    @property
    def facts(self) -> dict[str, Any]:
        """The criterion as lineages and steps files have it."""
        return {"definition": self.definition, "scale": list(self.scale)}


def parse_criteria(texts: Mapping[str, Any]) -> dict[str, Criterion]:
    """Criteria by name, from the `criteria` of a YAML file.

    Raises:
        UserError: a scale is not two whole numbers from 0 on, the worse first.
    """
    found = {}
    for name, own in texts.items():
        match own.get("scale", list(Scale())):
            case [int(low), int(high)] if 0 <= low < high:
                found[name] = Criterion(name, own["definition"], Scale(low, high))
            case other:
                raise UserError(f"the scale of {name} is {other}; give two whole numbers, as in `scale: [1, 5]`")
    return found


_TEXTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("criteria.yaml").read_text("utf-8"))
CRITERIA = parse_criteria(_TEXTS["criteria"])
STEPS_QUESTION, SCORE_QUESTION = str(_TEXTS["steps"]), str(_TEXTS["question"])
