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

import pyarrow as pa
import yaml

from eval.geval.scoring import LOW_MASS, SAMPLES, GevalScore, sampled, weighted
from eval.geval.summary import gains, means, table
from eval.judge.budget import Budget
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import Answer, Request
from eval.judge.pairwise import one_line, spoken
from eval.judge.settings import JudgeSettings
from eval.judge_overlap import labellers, warning
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
FEWEST, MOST = 5, 7


class GevalItem(NamedTuple):
    """One response to be scored."""

    place: int
    variant: str
    prompt: list[dict[str, str]]
    reply: str


def steps(client: Client, name: str, mode: Capabilities) -> list[str]:
    """The judge's own evaluation steps for a criterion, asked for again where they are not of the right number.

    Raises:
        UserError: it will not write them.
    """
    text = STEPS.format(name=name, definition=CRITERIA[name], low=FEWEST, high=MOST)
    for salt in range(5):
        request = Request((("user", text),), 400, 0.0 if mode.temperature else -1.0, salt=salt)
        (answer,) = client.ask([request], f"steps for {name}")
        lines = [re.sub(r"^\W*\d+[.):]\s*", "", line).strip() for line in answer.texts[0].splitlines()]
        found = [line for line in lines if line]
        if FEWEST <= len(found) <= MOST:
            return found
    raise UserError(f"the judge does not write {FEWEST} to {MOST} steps for {name}; take a stronger model")


def request(item: GevalItem, name: str, own: Sequence[str], mode: Capabilities) -> Request:
    text = QUESTION.format(
        name=name.capitalize(),
        definition=CRITERIA[name],
        steps="\n".join(f"{number}. {step}" for number, step in enumerate(own, 1)),
        lines=spoken(item.prompt),
        reply=one_line(item.reply) or "(says nothing)",
    )
    if mode.alternatives:
        return Request((("user", text),), 1, 0.0 if mode.temperature else -1.0, logprobs=mode.alternatives)
    samples = SAMPLES if mode.n else 1
    return Request((("user", text),), 5, 1.0 if mode.temperature else -1.0, n=samples)


def score(answer: Answer, mode: Capabilities) -> GevalScore | None:
    return weighted(answer.first) if mode.alternatives else sampled(answer.texts)


def scored(
    client: Client, items: list[GevalItem], own: dict[str, list[str]], mode: Capabilities
) -> tuple[list[dict[str, Any]], str]:
    """A row for each item and criterion, `score` None where it is unscored; and what all of it cost, in words.

    Without log-probabilities and without several samples a call, SAMPLES calls are made for each.
    """
    asked = [(item, name) for item in items for name in CRITERIA]
    times = SAMPLES if not mode.alternatives and not mode.n else 1
    requests = [replace(request(item, name, own[name], mode), salt=n) for item, name in asked for n in range(times)]
    answers = client.ask(requests, "G-Eval")
    whole_cost = Budget(client.purse.price, None)  # the client's own knows nothing of the runs that were killed
    for answer in dict(zip(requests, answers, strict=True)).values():
        whole_cost.settle(0.0, answer.prompt_tokens, answer.answer_tokens)
    rows = []
    for place, (item, name) in enumerate(asked):
        mine = answers[place * times : (place + 1) * times]
        whole = replace(mine[0], texts=tuple(text for answer in mine for text in answer.texts))
        found = score(whole, mode)
        rows.append(
            {
                "item": item.place,
                "voice": item.variant,
                "criterion": name,
                "score": found.value if found else None,
                "mass": found.mass if found else 0.0,
                "alternatives": json.dumps(whole.first),
                "samples": list(whole.texts) if not mode.alternatives else [],
            }
        )
    return rows, whole_cost.told()


def task(names: Names, settings: JudgeSettings, prompts: int | None, second: bool = False) -> Task:
    """The scores of an evaluation set's responses as they are now, by the first judge or the second."""
    told = {"model": settings.model, "base_url": settings.base_url, "effort": settings.effort, "prompts": prompts}
    lineage = Lineage(
        "geval", {**told, "criteria": CRITERIA, "question": QUESTION}, (pin(names.evaluation, "dataset"),)
    )
    return Task(names.second_geval if second else names.geval, "dataset", lineage)


def run(
    names: Names,
    settings: JudgeSettings,
    work: Path,
    prompts: int | None = None,
    private: bool = False,
    second: bool = False,
) -> str:
    """Scores and publishes; returns the full commit sha."""
    made = task(names, settings, prompts, second)
    if revision := made.done():
        return revision
    (evaluation,) = made.lineage.inputs
    items = items_of(evaluation, prompts)
    if settings.model in labellers(evaluation):
        log_progress("geval", f"warning: {warning(str(settings.model))}")
    with Client(settings, work / "judge.sqlite") as client:
        mode = probe(client)
        own = {name: steps(client, name, mode) for name in CRITERIA}
        rows, cost = scored(client, items, own, mode)
        results = {
            "judge": settings.model,
            "mode": mode.told(),
            "steps": own,
            "scored": sum(row["score"] is not None for row in rows),
            "unscored": sum(row["score"] is None for row in rows),
            "low_mass": sum(row["score"] is not None and row["mass"] < LOW_MASS for row in rows),
            "means": {name: {variant: e._asdict() for variant, e in own.items()} for name, own in means(rows).items()},
            "gains": {name: {which: e._asdict() for which, e in own.items()} for name, own in gains(rows).items()},
            "cost": cost,
        }
    if not results["scored"]:
        raise UserError(f"{settings.model} gave no answer that is a score; see its mode above, take another model")
    print("\n" + table(results) + "\n", flush=True)
    rights = inherited_rights(evaluation)
    lineage = replace(made.lineage, facts={**results, "rights": rights.as_fact()})
    folder = work / f"geval-{made.lineage.fingerprint[:12]}"
    files, metadata = write_tables({"scores": {"test": pa.Table.from_pylist(rows)}}, folder)
    files["README.md"] = dataset_card(
        "geval",
        {"pretty_name": f"Repartee G-Eval ({names.size})", **rights.license, **metadata},
        repo=made.repo,
        table=table(results),
        steps=own,
        criteria=CRITERIA,
        judge=settings.model,
        cost=results["cost"],
        citations=rights.citations,
        lineage=lineage,
    ).encode()
    files["results.json"] = (json.dumps(results, indent=2) + "\n").encode()
    return publish(made.repo, "dataset", files, lineage, "G-Eval", private=private)


def items_of(evaluation: Input, prompts: int | None) -> list[GevalItem]:
    """Every variant's response to the first prompts of an evaluation set, which were drawn at random."""
    from datasets import load_dataset

    rows = load_dataset(evaluation.repo, "responses", split="test", revision=evaluation.revision)
    if prompts and prompts > len(rows):
        raise UserError(f"{evaluation.repo} has {len(rows):,} prompts, not {prompts:,}; evaluate more first")
    variants = [name for name in ("base", "sft", "dpo", "rl") if name in rows.column_names]
    chosen = rows.select(range(prompts or len(rows)))
    return [
        GevalItem(place, variant, row["prompt"], row[variant]["text"])
        for place, row in enumerate(chosen)
        for variant in variants
    ]
