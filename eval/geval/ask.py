"""Questions of G-Eval: what a judge is asked about each response and criterion, and the rows that its answers make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chat.template import Message
from eval.geval.criteria import CRITERIA, SCORE_QUESTION, Criterion, Scale
from eval.geval.scoring import SAMPLES, read_answer
from eval.judge.budget import Budget, Use
from eval.judge.capabilities import Capabilities
from eval.judge.client import Client
from eval.judge.messages import MASS_FLOOR, Answer, Request
from eval.judge.pairwise import one_line, quoted_turns
from eval.rows import ScoreRow


class GevalItem(NamedTuple):
    """Response to be scored."""

    number: int
    """Row number of its prompt in the evaluation set."""
    movie_id: str
    variant: str
    """A model's, or a control: `film` (the film's own reply) or `shuffled` (another film's)."""
    prompt: list[Message]
    reply: str


class Question(NamedTuple):
    """Question by one criterion, the same for all responses."""

    criterion: Criterion
    steps: Sequence[str]
    by_token: bool
    """Whether a score is one token, whose log-probabilities are read; else samples are."""


def make_questions(client: Client, steps: dict[str, list[str]], capabilities: Capabilities) -> list[Question]:
    """Questions of all criteria, as this client's endpoint can answer them."""
    return [
        Question(criterion, steps[name], has_one_token_labels(client, criterion.scale, capabilities))
        for name, criterion in CRITERIA.items()
    ]


def has_one_token_labels(client: Client, scale: Scale, capabilities: Capabilities) -> bool:
    """Whether the log-probabilities of one token tell all labels of a scale apart.

    One digit is one token everywhere. "10" is one token of some tokenizers and begins with the token "1" in others,
    where "1" says neither 1 nor 10: the judge is asked to say each such label, and one token must be all of it.
    """
    if not capabilities.alternatives:
        return False
    temperature = 0.0 if capabilities.temperature else -1.0
    requests = [
        Request((("user", f"Answer with the number {label} and nothing else."),), 1, temperature)
        for label in scale.long_labels
    ]
    answers = client.ask(requests, "labels") if requests else []
    return all(answer.texts[0].strip() == label for answer, label in zip(answers, scale.long_labels, strict=True))


def score_request(item: GevalItem, question: Question, capabilities: Capabilities) -> Request:
    """Request of one score: by log-probabilities of one token, or by samples."""
    (name, definition, scale), steps, by_token = question
    text = SCORE_QUESTION.format(
        name=name.capitalize(),
        definition=definition,
        worst=scale.low,
        best=scale.high,
        form=scale.form,
        steps="\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)),
        lines=quoted_turns(item.prompt),
        reply=one_line(item.reply) or "(says nothing)",
    )
    messages = (("user", text),)
    if by_token:
        return Request(messages, 1, 0.0 if capabilities.temperature else -1.0, logprobs=capabilities.alternatives)
    samples = SAMPLES if capabilities.n else 1
    return Request(messages, 5 + capabilities.thinking, 1.0 if capabilities.temperature else -1.0, n=samples)


def score_items(
    client: Client,
    items: Sequence[GevalItem],
    questions: Sequence[Question],
    capabilities: Capabilities,
    floor: float = MASS_FLOOR,
) -> tuple[list[ScoreRow], str]:
    """Scores, a row for each item and question, `score` None where it is unscored; and what all of it cost, in words.

    Where samples are read and a call gives one alone, SAMPLES calls are made for each.
    """
    asked = [(item, question) for item in items for question in questions]
    requests = [
        [
            replace(score_request(item, question, capabilities), salt=n)
            for n in range(1 if question.by_token or capabilities.n else SAMPLES)
        ]
        for item, question in asked
    ]
    flat = [request for own in requests for request in own]
    answers = iter(client.ask(flat, "G-Eval"))
    found = [[next(answers) for _ in own] for own in requests]
    rows = [score_row(*one, own, floor) for one, own in zip(asked, found, strict=True)]
    distinct = dict(zip(flat, (answer for own in found for answer in own), strict=True))
    whole_cost = Budget(client.budget.price, None)  # the client's own knows nothing of the runs that were killed
    for answer in distinct.values():
        whole_cost.settle(0.0, Use(answer.prompt_tokens, answer.answer_tokens, answer.estimated))
    return rows, whole_cost.summarize()


def score_row(item: GevalItem, question: Question, answers: Sequence[Answer], floor: float) -> ScoreRow:
    """Row of one response by one criterion."""
    whole = replace(answers[0], texts=tuple(text for answer in answers for text in answer.texts))
    reading = read_answer(whole, question.criterion.scale, question.by_token, floor)
    return {
        "item": item.number,
        "movie_id": item.movie_id,
        "voice": item.variant,
        "criterion": question.criterion.name,
        "score": reading.score,
        "mass": reading.mass,
        "refused": reading.refused,
        "alternatives": json.dumps(whole.first),
        "samples": [] if question.by_token else list(whole.texts),
    }
