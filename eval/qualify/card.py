"""Qualification card: what was measured of a judge, the floors that it must reach, and the verdict."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from eval.compute import to_plain
from eval.qualify.measured import Measured
from stats.clustered import MIN_CLUSTERS, too_few

MIN_SHUFFLED = 0.65
"""Accuracy on the film's reply over another film's."""
MIN_BIAS_CONTROL = 0.5
"""Accuracy on each of BIAS_CONTROLS: below it the judge prefers the fault."""
BIAS_CONTROLS = ("truncated", "echoing", "repeated", "over-long", "assistant-like")
MAX_POSITION_BIAS = 0.1
"""How far from one half the share of judgements may be that the reply shown first wins."""
MAX_UNSCORED = 0.1
"""Share of judgements without an answer, refusals included."""


class SelfPreference(NamedTuple):
    """Self-preference (Panickssery et al., 2024): how often a judge prefers the own reply of the model it scores by."""

    judge: Measured
    """Share of prompts on which the judge prefers it,"""
    reference: Measured
    """and on which the reference judge does."""
    difference: Measured


@dataclass(frozen=True)
class QualificationCard:
    """Qualification of a judge on control pairs of held-out films."""

    judge: str
    data: str
    """Dataset, commit, split and seed."""
    films: int
    controls: dict[str, Measured]
    """Accuracy by control, both orders averaged; a tie counts as half, an unscored pair not at all."""
    biases: dict[str, Measured]
    """P(first shown wins), P(longer wins), P(more echoing wins): one half is no bias."""
    echo: dict[str, float]
    """Share of words that repeat the prompt's, of chosen and of rejected replies."""
    unscored: Measured
    """Share of judgements."""
    reference: str | None = None
    self_preference: dict[str, SelfPreference] = field(default_factory=dict)
    people: dict[str, Measured] = field(default_factory=dict)
    """Correlation with people's scores."""
    cost: str | None = None
    """Of the planned labels; None for a judge that nobody is paid for."""

    @property
    def failures(self) -> list[str]:
        """The rules that the judge broke, in words; none where it qualified."""
        found = []
        if self.films < MIN_CLUSTERS:
            found.append(f"{too_few(self.films)} for a verdict, it takes {MIN_CLUSTERS}")
        for name, floor in {"shuffled": MIN_SHUFFLED, **dict.fromkeys(BIAS_CONTROLS, MIN_BIAS_CONTROL)}.items():
            accuracy = self.controls[name]
            if accuracy.value is None or accuracy.value < floor:
                found.append(f"film over {name}: {accuracy.describe()}, the floor is {floor:.0%}")
        shuffled = self.controls["shuffled"]
        if (shuffled.value or 0) >= MIN_SHUFFLED and shuffled.low is not None and shuffled.low <= 0.5:
            found.append(f"film over shuffled: {shuffled.describe()}, not told from chance")
        first = self.biases["position"]
        if first.value is not None and abs(first.value - 0.5) > MAX_POSITION_BIAS + 1e-9:
            found.append(
                f"position: the reply shown first wins {first.describe()}, at most {MAX_POSITION_BIAS:.0%} off"
            )
        if self.unscored.value is None or self.unscored.value > MAX_UNSCORED:
            found.append(f"unscored: {self.unscored.describe()} of the judgements, at most {MAX_UNSCORED:.0%}")
        return found

    @property
    def qualified(self) -> bool:
        """Whether the judge may label."""
        return not self.failures

    @property
    def verdict(self) -> str:
        """QUALIFIED, or NOT QUALIFIED with the rules that were broken."""
        return "QUALIFIED" if self.qualified else f"NOT QUALIFIED ({'; '.join(self.failures)})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the verdict beside what it follows from."""
        return {**to_plain(asdict(self)), "qualified": self.qualified, "failures": self.failures}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> QualificationCard:
        """Reads what `to_json` wrote; the verdict is found again. Raises KeyError or TypeError for anything else."""
        known = {key: value for key, value in content.items() if key not in ("qualified", "failures")}
        for name in ("controls", "biases", "people"):
            known[name] = {key: Measured(**value) for key, value in known[name].items()}
        known["unscored"] = Measured(**known["unscored"])
        known["self_preference"] = {
            key: SelfPreference(**{part: Measured(**value) for part, value in entry.items()})
            for key, entry in known["self_preference"].items()
        }
        return cls(**known)

    def save_text(self) -> str:
        """The text of a file of JSON."""
        return json.dumps(self.to_json(), indent=2) + "\n"
