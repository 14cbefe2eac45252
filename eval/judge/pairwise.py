"""LLM-as-a-judge, pairwise: which of two replies is better, by the probability of a one-letter answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chat.template import Message
from eval.judge.capabilities import LABEL_TOKENS, Capabilities, probe
from eval.judge.client import Client
from eval.judge.comparison import Comparison
from eval.judge.messages import LOW_MASS, MASS_FLOOR, Answer, Request, distribution, read_label

SYSTEM = "You read film scripts and judge single lines of dialogue."
PAIRWISE_QUESTION = """\
A character in a film has just said the last of these lines:

{lines}

Two replies are offered. Which of them would a good screenwriter keep: the one that answers this very line, sounds like
a person speaking, and carries the scene on? Length in itself is worth nothing.

Reply A: {first}
Reply B: {second}

Answer with the letter A or the letter B and nothing else."""


class LLMJudge:
    """Pairwise judge by a chat model, which answers with the letter A or B.

    P(A) is read from the log-probabilities of the answer's first token. Where the endpoint gives none, or the judge
    thinks first, the letter counts as certain; what the endpoint gives is printed when it is probed. An answer that is
    neither letter, or whose letters have less mass together than MASS_FLOOR, is unscored: NaN, never one half or a
    guess from the tail.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.capabilities: Capabilities = probe(client)
        self.name = str(client.settings.model)
        self.unscored = self.refused = self.low_mass = 0

    @property
    def summary(self) -> str:
        """The endpoint's capabilities, and how often they did not serve."""
        counts = (
            f"{self.unscored:,} unscored ({self.refused:,} refused), {self.low_mass:,} of less mass than {LOW_MASS}"
        )
        return f"{self.capabilities.summarize()}; {counts}"

    @property
    def cost(self) -> str:
        """What this judge took so far, in words."""
        return f"{self.name}: {self.client.budget.summarize()}"

    def compare(self, items: list[Comparison]) -> list[float]:
        """The probability that the reply shown first is better, by item; NaN where the judge did not say."""
        answers = self.client.ask([self.request(*item) for item in items], f"judging by {self.name}")
        return [self.parse(answer) for answer in answers]

    def request(self, prompt: list[Message], first: str, second: str) -> Request:
        """The question about one pair, in this order."""
        text = PAIRWISE_QUESTION.format(lines=quoted_turns(prompt), first=one_line(first), second=one_line(second))
        return Request(
            (("system", SYSTEM), ("user", text)),
            max_tokens=1 if self.capabilities.alternatives else LABEL_TOKENS + self.capabilities.thinking,
            temperature=0.0 if self.capabilities.temperature else -1.0,
            logprobs=self.capabilities.alternatives,
        )

    def parse(self, answer: Answer) -> float:
        """P(the reply shown first is better) of one answer; NaN, and counted, where it is neither letter."""
        if self.capabilities.alternatives:
            found = distribution(answer.first, "AB")
            if found and found.mass >= MASS_FLOOR:
                self.low_mass += found.mass < LOW_MASS
                return found.probabilities["A"]
        else:
            letter = read_label(answer.texts[0], "AB")
            if letter:
                return float(letter == "A")
        self.unscored += 1
        self.refused += answer.refused
        return math.nan


def quoted_turns(prompt: Sequence[Message]) -> str:
    """The turns of a prompt as a list, one line each, without the system message."""
    return "\n".join(f"- {one_line(turn['content'])}" for turn in prompt if turn["role"] != "system")


def one_line(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())
