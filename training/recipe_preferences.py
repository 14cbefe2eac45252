"""What a recipe says of preferences: where the prompts are from, who judges, and what the judge must pass before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chat.sampling import Sampling
from eval.judge.names import EMBEDDED_NAMES, EmbeddedName, is_embedded
from training.recipe_schema import at_least

OTHER_SOURCES = ("judge", "corpus", "votes")
"""Sources of preferences that are no embedded judge."""


@dataclass(frozen=True)
class Preferences:
    """Prompts answered twice by the SFT model, and judged."""

    prompts: int = 10_000
    """Prompts, drawn by seed from the train split."""
    source: str = "pmi"
    """Who prefers: an embedded judge (`realism`, `pmi`, `mean-pmi:sft`, ..., see `eval.judge.names`); `judge`,
    the LLM of the section `judge`; `corpus`, the film, against a sampled reply (SPIN, Chen et al., 2024); `votes`, the
    visitors of the page."""
    allow_unqualified: bool = False
    """Let a judge label that does not pass its controls on the validation films (`eval.qualify`)."""
    qualification_pairs: int = 200
    """Pairs of each control that the judge must pass."""
    prompts_from: Literal["films", "judge"] = "films"
    """`films`: lines of the train films; `judge`: lines that the `judge` section's LLM writes (training.prompts)."""
    redraws: int = 2
    """How often two replies are drawn anew where one is empty, did not end, or is like the other."""
    server: str | None = None
    """OpenAI-compatible server that samples the replies, up to and with `/v1`; null samples on this machine."""
    server_model: str = "sft"
    """What the SFT model is called there."""
    allow_disagreement: bool = False
    """Keep pairs whose preferred reply changes with the order in which the two are shown."""
    min_margin: float = 0.02
    """Drop pairs whose probability is nearer to one half than this; of a PMI judge, 0.2 is 0.85 nats, 0.02 is
    0.08."""
    temperature: float = Sampling.temperature
    top_k: int = Sampling.top_k
    top_p: float = Sampling.top_p
    seed: int = 1

    def __post_init__(self) -> None:
        at_least(self, "prompts", 1)
        at_least(self, "redraws", 0)
        at_least(self, "qualification_pairs", 1)
        if self.source not in OTHER_SOURCES and not is_embedded(self.source):
            raise ValueError(f"source is {self.source!r}; it takes one of {', '.join(OTHER_SOURCES)}, {EMBEDDED_NAMES}")
        if (self.source, self.prompts_from) == ("corpus", "judge"):
            raise ValueError("source corpus needs prompts_from films: a line that no film has has no reply in one")
        if not 0 <= self.min_margin < 0.5:
            raise ValueError(f"min_margin is {self.min_margin}; it takes a number from 0 to below 0.5")

    @property
    def embedded(self) -> EmbeddedName | None:
        """The embedded judge that the source names in full; None where it names none."""
        return None if self.source in OTHER_SOURCES else EmbeddedName.parse(self.source)
