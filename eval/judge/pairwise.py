"""An LLM that says which of two replies is better, by the probability of its one-letter answer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from chat.template import Message
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.comparison import Comparison
from eval.judge.messages import Answer, Request, distribution

LOW_MASS = 0.9  # of the probability seen; below it the judge wanted to say something else
SYSTEM = "You read film scripts and judge single lines of dialogue."
QUESTION = """\
A character in a film has just said the last of these lines:

{lines}

Two replies are offered. Which of them would a good screenwriter keep: the one that answers this very line, sounds like
a person speaking, and carries the scene on? Length in itself is worth nothing.

Reply A: {first}
Reply B: {second}

Answer with the letter A or the letter B and nothing else."""


class LLMJudge:
    """Asks a model; the probability of "A" against "B" is read from the log-probabilities of its answer's first token.

    Where the endpoint gives none, the letter itself counts as certain; the mode is printed when it is probed. An answer
    that is neither letter is unscored: NaN, never one half.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.mode: Capabilities = probe(client)
        self.name = str(client.settings.model)
        self.unscored = self.low_mass = 0

    @property
    def told(self) -> str:
        """The mode, and how often it did not serve."""
        return f"{self.mode.told()}; {self.unscored:,} unscored, {self.low_mass:,} of less mass than {LOW_MASS}"

    @property
    def cost(self) -> str:
        return f"{self.name}: {self.client.purse.told()}"

    def compare(self, items: list[Comparison]) -> list[float]:
        """The probability that the reply shown first is better, by item; NaN where the judge did not say."""
        answers = self.client.ask([self.request(*item) for item in items], f"judging by {self.name}")
        return [self.read(answer) for answer in answers]

    def request(self, prompt: list[Message], first: str, second: str) -> Request:
        text = QUESTION.format(lines=spoken(prompt), first=one_line(first), second=one_line(second))
        return Request(
            (("system", SYSTEM), ("user", text)),
            max_tokens=1 if self.mode.alternatives else 4,
            temperature=0.0 if self.mode.temperature else -1.0,
            logprobs=self.mode.alternatives,
        )

    def read(self, answer: Answer) -> float:
        if self.mode.alternatives:
            found = distribution(answer.first, "AB")
            if found:
                self.low_mass += found.mass < LOW_MASS
                return found.probabilities["A"]
        else:
            letter = re.fullmatch(r"\W*([AB])\W*", answer.texts[0])
            if letter:
                return float(letter[1] == "A")
        self.unscored += 1
        return math.nan


def spoken(prompt: Sequence[Message]) -> str:
    """The lines of a prompt, one a turn, without the system's."""
    return "\n".join(f"- {one_line(turn['content'])}" for turn in prompt if turn["role"] != "system")


def one_line(text: str) -> str:
    return " ".join(text.split())
