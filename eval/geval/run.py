"""G-Eval: `python -m eval.geval --namespace NAMESPACE --size starter --model MODEL [--base-url URL] [--budget 5]`.

A strong model scores every published response by four criteria. For each criterion it first writes the steps of its own
evaluation from our definition; they are fixed, stored and published, and the same for all variants. A score is the
probability-weighted mean of 1 to 5 (`eval.geval.scoring`); what cannot be read is missing, never zero. Killed, it
carries on from its cache. With `--second`, a second judge's scores are published beside the first's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from eval.geval.scoring import LOW_MASS, SAMPLES, GevalScore, mean_of_samples, weighted_mean
from eval.geval.summary import gains, geval_table, mean_scores
from eval.judge.budget import Budget
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import Answer, Request
from eval.judge.pairwise import one_line, quoted_turns
from eval.judge.settings import JudgeSettings
from eval.judge_overlap import labellers, warning
from eval.rows import ScoreRow, load_responses
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Input, Lineage, pin
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish
from hub.rights import inherited_rights
from hub.task import Task, log_progress

_TEXTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("criteria.yaml").read_text("utf-8"))
CRITERIA: dict[str, str] = _TEXTS["criteria"]
STEPS, QUESTION = str(_TEXTS["steps"]), str(_TEXTS["question"])
MIN_STEPS, MAX_STEPS = 5, 7


class GevalItem(NamedTuple):
    """Response to be scored."""

    number: int
    """Row number of its prompt in the evaluation set."""
    variant: str
    prompt: list[dict[str, str]]
    reply: str


def write_steps(client: Client, name: str, capabilities: Capabilities) -> list[str]:
    """Evaluation steps (chain of thought) of the judge itself for a criterion, asked for again where they are too few.

    Raises:
        UserError: it will not write them.
    """
    text = STEPS.format(name=name, definition=CRITERIA[name], low=MIN_STEPS, high=MAX_STEPS)
    for salt in range(5):
        request = Request((("user", text),), 400, 0.0 if capabilities.temperature else -1.0, salt=salt)
        (answer,) = client.ask([request], f"steps for {name}")
        lines = [re.sub(r"^\W*\d+[.):]\s*", "", line).strip() for line in answer.texts[0].splitlines()]
        found = [line for line in lines if line]
        if MIN_STEPS <= len(found) <= MAX_STEPS:
            return found
    raise UserError(f"the judge does not write {MIN_STEPS} to {MAX_STEPS} steps for {name}; take a stronger model")


def score_request(item: GevalItem, name: str, steps: Sequence[str], capabilities: Capabilities) -> Request:
    """The question for one score: by log-probabilities of one token, or by samples where there are none."""
    text = QUESTION.format(
        name=name.capitalize(),
        definition=CRITERIA[name],
        steps="\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)),
        lines=quoted_turns(item.prompt),
        reply=one_line(item.reply) or "(says nothing)",
    )
    if capabilities.alternatives:
        return Request(
            (("user", text),), 1, 0.0 if capabilities.temperature else -1.0, logprobs=capabilities.alternatives
        )
    samples = SAMPLES if capabilities.n else 1
    return Request((("user", text),), 5, 1.0 if capabilities.temperature else -1.0, n=samples)


def read_score(answer: Answer, capabilities: Capabilities) -> GevalScore | None:
    """The score in an answer; None where it is unscored."""
    return weighted_mean(answer.first) if capabilities.alternatives else mean_of_samples(answer.texts)


def score_items(
    client: Client, items: list[GevalItem], steps: dict[str, list[str]], capabilities: Capabilities
) -> tuple[list[ScoreRow], str]:
    """Scores, a row for each item and criterion, `score` None where it is unscored; and what all of it cost, in words.

    Without log-probabilities and without several samples a call, SAMPLES calls are made for each.
    """
    questions = [(item, name) for item in items for name in CRITERIA]
    times = SAMPLES if not capabilities.alternatives and not capabilities.n else 1
    requests = [
        replace(score_request(item, name, steps[name], capabilities), salt=n)
        for item, name in questions
        for n in range(times)
    ]
    answers = client.ask(requests, "G-Eval")
    whole_cost = Budget(client.budget.price, None)  # the client's own knows nothing of the runs that were killed
    for answer in dict(zip(requests, answers, strict=True)).values():
        whole_cost.settle(0.0, answer.prompt_tokens, answer.answer_tokens)
    rows: list[ScoreRow] = []
    for number, (item, name) in enumerate(questions):
        mine = answers[number * times : (number + 1) * times]
        whole = replace(mine[0], texts=tuple(text for answer in mine for text in answer.texts))
        found = read_score(whole, capabilities)
        rows.append(
            {
                "item": item.number,
                "voice": item.variant,
                "criterion": name,
                "score": found.value if found else None,
                "mass": found.mass if found else 0.0,
                "alternatives": json.dumps(whole.first),
                "samples": list(whole.texts) if not capabilities.alternatives else [],
            }
        )
    return rows, whole_cost.summarize()


def geval_task(names: Names, settings: JudgeSettings, prompts: int | None, second: bool = False) -> Task:
    """Task of scoring an evaluation set's responses as they are now, by the first judge or the second."""
    identity = {"model": settings.model, "base_url": settings.base_url, "effort": settings.effort, "prompts": prompts}
    lineage = Lineage(
        "geval", {**identity, "criteria": CRITERIA, "question": QUESTION}, (pin(names.evaluation, "dataset"),)
    )
    return Task(names.second_geval if second else names.geval, "dataset", lineage)


def run_geval(
    names: Names,
    settings: JudgeSettings,
    work: Path,
    prompts: int | None = None,
    private: bool = False,
    second: bool = False,
) -> str:
    """Scores and publishes; returns the full commit sha."""
    import pyarrow as pa

    made = geval_task(names, settings, prompts, second)
    if revision := made.done():
        return revision
    (evaluation,) = made.lineage.inputs
    items = load_items(evaluation, prompts)
    if settings.model in labellers(evaluation):
        log_progress("geval", f"warning: {warning(str(settings.model))}")
    with Client(settings, work / "judge.sqlite") as client:
        capabilities = probe(client)
        steps = {name: write_steps(client, name, capabilities) for name in CRITERIA}
        rows, cost = score_items(client, items, steps, capabilities)
        results = {
            "judge": settings.model,
            "mode": capabilities.summarize(),
            "steps": steps,
            "scored": sum(row["score"] is not None for row in rows),
            "unscored": sum(row["score"] is None for row in rows),
            "low_mass": sum(row["score"] is not None and row["mass"] < LOW_MASS for row in rows),
            "means": {
                name: {variant: e._asdict() for variant, e in own.items()} for name, own in mean_scores(rows).items()
            },
            "gains": {name: {which: e._asdict() for which, e in own.items()} for name, own in gains(rows).items()},
            "cost": cost,
        }
    if not results["scored"]:
        raise UserError(f"{settings.model} gave no answer that is a score; see its mode above, take another model")
    print("\n" + geval_table(results) + "\n", flush=True)
    rights = inherited_rights(evaluation)
    lineage = replace(made.lineage, facts={**results, "rights": rights.as_fact()})
    folder = work / f"geval-{made.lineage.fingerprint[:12]}"
    files, metadata = write_tables({"scores": {"test": pa.Table.from_pylist(rows)}}, folder)
    files["README.md"] = dataset_card(
        "geval",
        {"pretty_name": f"Repartee G-Eval ({names.size})", **rights.license, **metadata},
        repo=made.repo,
        table=geval_table(results),
        steps=steps,
        criteria=CRITERIA,
        judge=settings.model,
        cost=results["cost"],
        citations=rights.citations,
        lineage=lineage,
    ).encode()
    files["results.json"] = (json.dumps(results, indent=2) + "\n").encode()
    return publish(made.repo, "dataset", files, lineage, "G-Eval", private=private)


def load_items(evaluation: Input, prompts: int | None) -> list[GevalItem]:
    """Items of every variant, from the responses to the first prompts of an evaluation set (None: all)."""
    responses = load_responses(evaluation.repo, evaluation.revision, prompts or None)
    return [
        GevalItem(index, variant, response.prompt, answer.text)
        for index, response in enumerate(responses)
        for variant, answer in response.variants.items()
    ]
