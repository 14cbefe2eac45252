"""Repository names: what every published repository is called."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

HUB = "https://huggingface.co"
"""The Hub by its name, for what is published: `HF_ENDPOINT` may be a local Hub's address of the day, or a mirror's."""


def published_address(url: str | None) -> str | None:
    """A server's address as it is published: one on this machine without its port, which is another tomorrow.

    And none with what stands before an `@`: it is a name, and perhaps a password.
    """
    if not url:
        return url
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.") or host.endswith(".localhost"):
        return "http://localhost"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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

    @property
    def static_space(self) -> str:
        """Space: the page without a server."""
        return self._repo("static")

    def adapter(self, kind: str) -> str:
        """The adapter of a training stage: sft, dpo, reward or rl; or realism, the judge on the sft adapter."""
        return self._repo(f"{self.size}-{kind}")

    def all(self) -> list[tuple[str, str]]:
        """Every repository of the family that there may be, with its type, in the order in which they are made."""
        adapters = [(self.adapter(kind), "model") for kind in ("sft", "realism", "reward", "rl", "dpo")]
        return [
            (self.dialogue, "dataset"),
            (self.base, "model"),
            *adapters[:2],
            (self.preferences, "dataset"),
            *adapters[2:],
            (self.evaluation, "dataset"),
            (self.geval, "dataset"),
            (self.second_geval, "dataset"),
            (self.votes, "dataset"),
            (self.space, "space"),
            (self.static_space, "space"),
        ]
