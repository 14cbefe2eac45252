"""Evaluation steps of G-Eval: written by a model, published as `steps.json`, read again so that judges share a rubric.

In the original work a strong model writes the steps and the scorer follows them. `steps.json` holds the criteria, the
steps of each, and who wrote them. A judge too weak to write its own follows
the ones beside this file, and that is said.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.geval.criteria import CRITERIA, STEPS_QUESTION, Criterion
from eval.judge.capabilities import Capabilities
from eval.judge.client import Client
from eval.judge.messages import Request
from hub.errors import UserError
from hub.task import log_progress

STEPS_FILE = "steps.json"
PUBLISHED_STEPS = Path(__file__).with_name(STEPS_FILE)
"""Steps in our own words, for judges that write none."""
MIN_STEPS, MAX_STEPS = 5, 7
WRITING_ATTEMPTS = 2  # at temperature 0 most endpoints say the same again


class UnwrittenSteps(UserError):
    """A model that was asked for steps wrote too few, too many, or something else."""


@dataclass(frozen=True)
class Rubric:
    """Rubric: the steps of each criterion, and who wrote them."""

    steps: dict[str, list[str]]
    written_by: str

    @property
    def sha256(self) -> str:
        """Hash of the steps."""
        return hashlib.sha256(json.dumps(self.steps, sort_keys=True).encode()).hexdigest()

    @property
    def identity(self) -> dict[str, str]:
        """Who wrote them and their hash, as lineages have it."""
        return {"written_by": self.written_by, "sha256": self.sha256}

    def to_json(self) -> str:
        """Text of a steps file."""
        criteria = {name: criterion.facts for name, criterion in CRITERIA.items()}
        return json.dumps({**self.identity, "criteria": criteria, "steps": self.steps}, indent=2) + "\n"


def write_rubric(client: Client, capabilities: Capabilities) -> Rubric:
    """Rubric written by a client's model for every criterion."""
    steps = {name: write_steps(client, criterion, capabilities) for name, criterion in CRITERIA.items()}
    return Rubric(steps, str(client.settings.model))


def own_rubric(client: Client, capabilities: Capabilities) -> Rubric:
    """Rubric by the judge itself, or the published one where it cannot write steps; a line of the log says so."""
    try:
        return write_rubric(client, capabilities)
    except UnwrittenSteps as error:
        rubric = parse_rubric(PUBLISHED_STEPS.read_text("utf-8"), str(PUBLISHED_STEPS))
        log_progress("geval", f"{error}; following the steps by {rubric.written_by} ({rubric.sha256[:12]})")
        return rubric


def write_steps(client: Client, criterion: Criterion, capabilities: Capabilities) -> list[str]:
    """Evaluation steps (chain of thought) for a criterion, asked for again where they are too few.

    Raises:
        UnwrittenSteps: the model will not write them.
    """
    name, definition, (worst, best) = criterion
    text = STEPS_QUESTION.format(
        name=name, definition=definition, worst=worst, best=best, low=MIN_STEPS, high=MAX_STEPS
    )
    for salt in range(WRITING_ATTEMPTS):
        request = Request(
            (("user", text),), 400 + capabilities.thinking, 0.0 if capabilities.temperature else -1.0, salt=salt
        )
        (answer,) = client.ask([request], f"steps for {name}")
        lines = [re.sub(r"^\W*\d+[.):]\s*", "", line).strip() for line in answer.texts[0].splitlines()]
        found = [line for line in lines if line]
        if MIN_STEPS <= len(found) <= MAX_STEPS:
            return found
    who = client.settings.model
    raise UnwrittenSteps(f"{who} does not write {MIN_STEPS} to {MAX_STEPS} steps for {name}, as a stronger model would")


def read_rubric(source: str) -> Rubric:
    """Rubric in a steps file on this machine, or in a dataset of the Hub.

    Raises:
        UserError: there is none, or it is for other criteria.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    path = Path(source)
    if not path.is_file():
        try:
            path = Path(hf_hub_download(source, STEPS_FILE, repo_type="dataset"))
        except (EntryNotFoundError, HFValidationError, RepositoryNotFoundError) as error:
            raise UserError(
                f"no steps in {source}: it is neither a file nor a dataset with {STEPS_FILE}; run eval.geval first"
            ) from error
    return parse_rubric(path.read_text("utf-8"), source)


def parse_rubric(text: str, source: str) -> Rubric:
    """Reads what `Rubric.to_json` wrote.

    Raises:
        UserError: it is not that, or it is for other criteria than these.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        steps = {name: [str(step) for step in content["steps"][name]] for name in CRITERIA}
        rubric, criteria = Rubric(steps, str(content["written_by"])), content["criteria"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source} is no steps file ({error!r}); take {STEPS_FILE} of a G-Eval dataset") from error
    if criteria != {name: criterion.facts for name, criterion in CRITERIA.items()}:
        raise UserError(f"the steps in {source} are for other criteria than criteria.yaml has; write them anew")
    return rubric
