"""Preference labels: a pair of replies with its judgements, why it is dropped, and the row that DPO reads.

A `labels` row has both replies and what was thought of them; a `preferences` row has the same pair in the order of the
preference, as TRL takes it:

    labels       prompt [system, user]   responses ["At the pier.", "Nowhere."]   probability 0.83   dropped ""
    preferences  prompt [system, user]   chosen [assistant "At the pier."]   rejected [assistant "Nowhere."]
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from training.feedback.sampling import PromptRow
from training.recipe_preferences import Preferences

FILM_JUDGE = "the film (its own reply)"
"""The judge of pairs that nobody judged."""
PEOPLE = "people (blind votes on the page)"


@dataclass(frozen=True)
class LabelledPair:
    """Two replies to a prompt and who prefers which: one row of the config `labels`, columns in this order."""

    prompt: list[dict[str, str]]
    """The messages to answer."""
    scene: dict[str, Any]
    """Where the prompt is from: a film's scene, a drawn scene, or a vote."""
    film_reply: str | None
    responses: tuple[str, str]
    ended: tuple[str | None, str | None]
    """How each reply ended: a stop token, "length", or None where that is not known."""
    seed: int | None
    """Of the draw that the replies come from."""
    judge: str
    first_wins: tuple[float, float]
    """The probability that the reply shown first is better, in each order of the two."""
    probability: float
    """That the first of `responses` is better: both orders averaged; NaN where the judge gave no score."""
    second_judge: str | None
    second_first_wins: tuple[float, float] | None
    sft_revision: str | None
    dropped: str = ""
    """Why the pair teaches nothing; empty where it does."""

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> LabelledPair:
        """Pair from a published row."""
        pairs = ("responses", "ended", "first_wins", "second_first_wins")
        values: dict[str, Any] = {
            key: tuple(value) if key in pairs and value is not None else value for key, value in row.items()
        }
        return cls(**values)

    @classmethod
    def unjudged(cls, row: PromptRow, responses: tuple[str, str], judge: str, **known: Any) -> LabelledPair:
        """Pair whose first reply is preferred because of where it is from; dropped where both texts are the same.

        Args:
            row: the prompt.
            responses: the preferred reply, and the other.
            judge: who stands in for a judge.
            known: `ended`, `seed` and `sft_revision`.
        """
        return cls(
            **row,
            responses=responses,
            judge=judge,
            first_wins=(1.0, 0.0),
            probability=1.0,
            second_judge=None,
            second_first_wins=None,
            dropped=text_defect(responses),
            **known,
        )

    def to_row(self) -> dict[str, Any]:
        """Row of the published table: lists for tuples, plain texts for enums."""
        row = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        row["ended"] = [reason if reason is None else str(reason) for reason in self.ended]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}


def text_defect(responses: tuple[str, str]) -> str:
    """Why two replies are none to choose between, or an empty text."""
    first, second = (" ".join(text.lower().split()) for text in responses)
    if not first or not second:
        return "empty reply"
    return "identical replies" if first == second else ""


def reason_to_drop(pair: LabelledPair, settings: Preferences) -> str:
    """Why a judged pair teaches nothing, or an empty text."""
    ahead, swapped = pair.first_wins
    if reason := text_defect(pair.responses):
        return reason
    if math.isnan(pair.probability):
        return "unscored"
    if (ahead > 0.5) == (swapped > 0.5) and not settings.allow_disagreement:
        return "tie" if ahead == swapped == 0.5 else "orders disagree"
    return "margin too small" if abs(pair.probability - 0.5) < settings.min_margin else ""


def to_dpo_row(pair: LabelledPair) -> dict[str, Any]:
    """Row that DPO reads: `prompt`, `chosen`, `rejected` as messages, and where the judgement came from."""
    order = (0, 1) if pair.probability > 0.5 else (1, 0)
    chosen, rejected = ([{"role": "assistant", "content": pair.responses[index]}] for index in order)
    margin, row = abs(pair.probability - 0.5), pair.to_row()
    return {"prompt": pair.prompt, "chosen": chosen, "rejected": rejected, "margin": margin} | {
        key: row[key] for key in ("scene", "responses", "judge", "first_wins", "probability", "sft_revision")
    }


def count_dropped(pairs: Iterable[LabelledPair]) -> Counter[str]:
    """How many pairs each reason dropped."""
    return Counter(pair.dropped for pair in pairs if pair.dropped)
