"""Repository names: what every published repository is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Repository ids of one family: a namespace on the Hub and a model size."""

    namespace: str
    size: str

    def _repo(self, name: str) -> str:
        return f"{self.namespace}/repartee-{name}"

    @property
    def dialogue(self) -> str:
        """Dataset: prompts and completions from the corpus."""
        return self._repo("dialogue")

    @property
    def base(self) -> str:
        """Model: the base, where it is published here: the starter of our own, or one from a file or a folder."""
        return self._repo("starter" if self.size == "starter" else f"{self.size}-base")

    @property
    def preferences(self) -> str:
        """Dataset: judged pairs of replies."""
        return self._repo(f"{self.size}-preferences")

    @property
    def evaluation(self) -> str:
        """Dataset: responses, metrics and the report."""
        return self._repo(f"{self.size}-evaluation")

    @property
    def geval(self) -> str:
        """Dataset: an LLM judge's scores."""
        return self._repo(f"{self.size}-geval")

    @property
    def second_geval(self) -> str:
        """The scores of a second judge, to be shown beside the first's."""
        return self._repo(f"{self.size}-geval-second")

    @property
    def votes(self) -> str:
        """Dataset: blind votes of the visitors."""
        return self._repo("votes")

    @property
    def code(self) -> str:
        """What HF Jobs runs."""
        return self._repo("code")

    @property
    def space(self) -> str:
        """Space: the page."""
        return f"{self.namespace}/repartee"

    def adapter(self, kind: str) -> str:
        """The adapter of a training stage: sft, dpo, reward or rl."""
        return self._repo(f"{self.size}-{kind}")

    def all(self) -> list[tuple[str, str]]:
        """Every repository of the family that there may be, with its type, in the order in which they are made."""
        adapters = [(self.adapter(kind), "model") for kind in ("sft", "reward", "rl", "dpo")]
        return [
            (self.dialogue, "dataset"),
            (self.base, "model"),
            adapters[0],
            (self.preferences, "dataset"),
            *adapters[1:],
            (self.evaluation, "dataset"),
            (self.geval, "dataset"),
            (self.second_geval, "dataset"),
            (self.votes, "dataset"),
            (self.space, "space"),
        ]
