"""G-Eval: `python -m eval.geval --namespace NAMESPACE --size starter --model MODEL [--base-url URL] [--budget 5]`.

A model scores every published response, the film's own reply and another film's by four criteria. By each it follows
steps: those of `--steps`, a file or a dataset that has one; those that `--steps-model` writes; with `--second`, the
first judge's; else its own, or ours (`eval/geval/steps.json`) where it writes none. They are the same for all variants
and published as `steps.json`. A score is the probability-weighted mean of the criterion's scale (`eval.geval.scoring`);
what cannot be read, is refused or has less mass than `--mass-floor` is missing, never zero. Killed, it carries on from
its cache. With `--second`, a second judge's scores are published beside the first's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.geval.ask import GevalItem, Question, make_questions, score_items
from eval.geval.criteria import CRITERIA, SCORE_QUESTION
from eval.geval.steps import STEPS_FILE, Rubric, own_rubric, read_rubric, write_rubric
from eval.geval.summary import geval_table, summarize_scores
from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client
from eval.judge.messages import MASS_FLOOR
from eval.judge.settings import JudgeSettings
from eval.judge_overlap import labellers, warning
from eval.rows import ScoreRow, load_responses
from hub.cards import dataset_card
from hub.errors import UserError
from hub.lineage import Input, Lineage, pin
from hub.names import Names, published_address
from hub.parquet import write_tables
from hub.publish import publish
from hub.rights import inherited_rights
from hub.task import Task, log_progress
from hub.write_access import require_no_private_source


def choose_rubric(names: Names, steps: str | None, writer: JudgeSettings | None, second: bool) -> Rubric | None:
    """Rubric that is there already: the one asked for, or with `second` the first judge's; None: it is to be written.

    Raises:
        UserError: it is not there, or for other criteria.
    """
    if steps:
        return read_rubric(steps)
    return read_rubric(names.geval) if second and writer is None else None


def geval_task(
    names: Names,
    settings: JudgeSettings,
    prompts: int | None = None,
    second: bool = False,
    rubric: Rubric | None = None,
    writer: JudgeSettings | None = None,
    mass_floor: float = MASS_FLOOR,
) -> Task:
    """Task of scoring an evaluation set's responses as they are now, by the first judge or the second.

    Args:
        names: whose evaluation set.
        settings: of the judge.
        prompts: the first so many; None: all.
        second: whether this is the second judge.
        rubric: steps that are there already;
        writer: or who writes them; None: the judge itself.
        mass_floor: the least mass of a score.
    """
    author = writer or settings
    identity = {
        "model": settings.model,
        "base_url": published_address(settings.base_url),
        "effort": settings.effort,
        "prompts": prompts,
        "mass_floor": mass_floor,
        "criteria": {name: criterion.facts for name, criterion in CRITERIA.items()},
        "question": SCORE_QUESTION,
        "steps": rubric.identity
        if rubric
        else {"written_by": author.model, "base_url": published_address(author.base_url)},
    }
    lineage = Lineage("geval", identity, (pin(names.evaluation, "dataset"),))
    return Task(names.second_geval if second else names.geval, "dataset", lineage)


def run_geval(
    names: Names,
    settings: JudgeSettings,
    work: Path,
    prompts: int | None = None,
    private: bool = False,
    second: bool = False,
    steps: str | None = None,
    writer: JudgeSettings | None = None,
    mass_floor: float = MASS_FLOOR,
) -> str:
    """Scores and publishes; returns the full commit sha.

    Args: as `geval_task`, and
        work: folder of the cache.
        private: publish in a private repository.
        steps: a steps file, or a dataset that has one.

    Raises:
        UserError: no answer is a score, the steps are not there, or the endpoint will not answer.
    """
    rubric = choose_rubric(names, steps, writer, second)
    made = geval_task(names, settings, prompts, second, rubric, writer, mass_floor)
    if revision := made.done(private):
        return revision
    (evaluation,) = made.lineage.inputs
    require_no_private_source([evaluation.repo], made.repo, made.type, private)
    items = load_items(evaluation, prompts)
    if settings.model in labellers(evaluation):
        log_progress("geval", f"warning: {warning(str(settings.model))}")
    if rubric is None and writer:
        with Client(writer, work / "judge.sqlite") as author:
            rubric = write_rubric(author, probe(author))
    with Client(settings, work / "judge.sqlite") as client:
        capabilities = probe(client)
        rubric = rubric or own_rubric(client, capabilities)
        questions = make_questions(client, rubric.steps, capabilities)
        rows, cost = score_items(client, items, questions, capabilities, mass_floor)
    results = {
        "judge": settings.model,
        "mode": describe_mode(questions, capabilities),
        "criteria": {name: criterion.facts for name, criterion in CRITERIA.items()},
        "steps": rubric.steps,
        "rubric": rubric.identity,
        "mass_floor": mass_floor,
        **summarize_scores(rows),
        "cost": cost,
    }
    if not results["scored"]:
        raise UserError(f"{settings.model} gave no answer that is a score; see its mode above, take another model")
    print("\n" + geval_table(results) + "\n", flush=True)
    return publish_scores(made, names, rows, results, rubric, work, private)


def describe_mode(questions: Sequence[Question], capabilities: Capabilities) -> str:
    """What the endpoint can do, and which criteria are scored by samples though it gives log-probabilities."""
    sampled = [question.criterion.name for question in questions if capabilities.alternatives and not question.by_token]
    note = f"; {', '.join(sampled)} by samples, for a score is not one token" if sampled else ""
    return capabilities.summarize() + note


def publish_scores(
    made: Task,
    names: Names,
    rows: Sequence[ScoreRow],
    results: dict[str, Any],
    rubric: Rubric,
    work: Path,
    private: bool,
) -> str:
    """Publishes scores, results, steps and the card; returns the full commit sha."""
    import pyarrow as pa

    rights = inherited_rights(made.lineage.inputs[0])
    lineage = replace(made.lineage, facts={**results, "rights": rights.as_fact()})
    folder = work / f"geval-{made.lineage.fingerprint[:12]}"
    files, metadata = write_tables({"scores": {"test": pa.Table.from_pylist(list(rows))}}, folder)
    files["README.md"] = dataset_card(
        "geval",
        {"pretty_name": f"Repartee G-Eval ({names.size})", **rights.license, **metadata},
        repo=made.repo,
        table=geval_table(results),
        results=results,
        citations=rights.citations,
        lineage=lineage,
    ).encode()
    files["results.json"] = (json.dumps(results, indent=2) + "\n").encode()
    files[STEPS_FILE] = rubric.to_json().encode()
    return publish(made.repo, "dataset", files, lineage, "G-Eval", private=private)


def load_items(evaluation: Input, prompts: int | None) -> list[GevalItem]:
    """Items of every variant and of the controls, from the responses to the first prompts of an evaluation set.

    Args:
        evaluation: the evaluation set.
        prompts: how many; None: all.
    """
    items = []
    for number, response in enumerate(load_responses(evaluation.repo, evaluation.revision, prompts or None)):
        replies = {variant: answer.text for variant, answer in response.variants.items()} | response.controls
        items += [
            GevalItem(number, response.movie_id, variant, response.prompt, reply) for variant, reply in replies.items()
        ]
    return items
