"""From replies and judgements to labelled pairs: who preferred what, which pairs teach nothing, and what DPO reads."""

from __future__ import annotations

import math
from collections import Counter

from chat.template import STOP
from eval.judge.bias import averaged
from eval.judge.comparison import Judge
from hub.errors import UserError
from hub.lineage import Input
from hub.task import log_progress
from training.feedback.sampling import Row, SampledPairs
from training.recipe import Recipe
from training.recipe_schema import Preferences

FILM = "the film (its own reply)"
"""The judge of pairs that nobody judged."""
PEOPLE = "people (blind votes on the page)"


def judged(judges: list[Judge], prompts: list[Row], contest: SampledPairs, recipe: Recipe, sft: Input) -> list[Row]:
    """A row for each pair: its judgements in both orders, and why it is dropped, if it is. The first judge decides."""
    told = [both_orders(judge, prompts, contest) for judge in judges]
    labels = []
    for place, (row, (first, second)) in enumerate(zip(prompts, contest.pairs, strict=True)):
        ahead, swapped = told[0][place]
        label = {
            **row,
            "responses": [first.text, second.text],
            "ended": [str(first.finish_reason), str(second.finish_reason)],
            "seed": contest.seeds[place],
            "judge": judges[0].name,
            "first_wins": [ahead, swapped],  # the probability that the reply shown first is better, in each order
            "probability": averaged([(ahead, swapped)])[0],
            "second_judge": judges[1].name if len(judges) > 1 else None,
            "second_first_wins": list(told[1][place]) if len(judges) > 1 else None,
            "sft_revision": sft.revision,
        }
        labels.append(label | {"dropped": reason_to_drop(label, recipe.preferences)})
    return labels


def both_orders(judge: Judge, prompts: list[Row], contest: SampledPairs) -> list[tuple[float, float]]:
    """Asks a judge about every pair in both orders."""
    log_progress("preferences", f"judging by {judge.name}, in both orders")
    asked = [(row["prompt"], a.text, b.text) for row, (a, b) in zip(prompts, contest.pairs, strict=True)]
    said = judge.compare(asked + [(prompt, second, first) for prompt, first, second in asked])
    return list(zip(said[: len(asked)], said[len(asked) :], strict=True))


def pairs_from_films(prompts: list[Row], contest: SampledPairs, sft: Input) -> list[Row]:
    """A row for each prompt: the film's own reply is preferred to the first sampled one, and nobody is asked."""
    labels = []
    for row, (sample, _), seed in zip(prompts, contest.pairs, contest.seeds, strict=True):
        label = {
            **row,
            "responses": [row["film_reply"], sample.text],
            "ended": [STOP, str(sample.finish_reason)],
            "seed": seed,
            "judge": FILM,
            "first_wins": [1.0, 0.0],
            "probability": 1.0,
            "second_judge": None,
            "second_first_wins": None,
            "sft_revision": sft.revision,
        }
        labels.append(label | {"dropped": text_defect(label)})
    return labels


def pairs_from_votes(votes: Input) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Prompts and pairs of the visitors' votes: what one chose, against each of the replies that it did not choose.

    Raises:
        UserError: there is no vote.
    """
    from hub.votes.vote import votes as read

    labels, prompts, counts = [], [], Counter[str]()
    for vote in read(votes.repo, votes.revision):
        counts["votes"] += 1
        counts["votes for none"] += not vote.chosen
        scene = {"comparison": vote.comparison, "time": vote.time}
        prompts.append({"prompt": vote.prompt, "scene": scene, "film_reply": None})
        chosen = vote.replies[vote.chosen[0]] if vote.chosen else None
        for option in vote.shown:
            other = vote.replies[option[0]]
            if chosen is None or option[0] in vote.chosen:
                continue
            label = {
                **prompts[-1],
                "responses": [chosen, other],
                "ended": [None, None],
                "seed": None,
                "judge": PEOPLE,
                "first_wins": [1.0, 0.0],
                "probability": 1.0,
                "second_judge": None,
                "second_first_wins": None,
                "sft_revision": vote.revisions.get("sft"),
            }
            labels.append(label | {"dropped": text_defect(label)})
    if not labels:
        raise UserError(f"{votes.repo} has no vote for a reply yet; collect some on the page first")
    return prompts, labels, dict(counts)


def text_defect(label: Row) -> str:
    """Why two replies are none to choose between, or an empty text."""
    first, second = (" ".join(text.lower().split()) for text in label["responses"])
    if not first or not second:
        return "empty reply"
    return "identical replies" if first == second else ""


def reason_to_drop(label: Row, settings: Preferences) -> str:
    """Why a judged pair teaches nothing, or an empty text."""
    ahead, swapped = label["first_wins"]
    if reason := text_defect(label):
        return reason
    if math.isnan(label["probability"]):
        return "unscored"
    if (ahead > 0.5) == (swapped > 0.5) and not settings.allow_disagreement:
        return "tie" if ahead == swapped == 0.5 else "orders disagree"
    return "margin too small" if abs(label["probability"] - 0.5) < settings.min_margin else ""


def to_dpo_row(label: Row) -> Row:
    """The row that DPO reads: `prompt`, `chosen`, `rejected` as messages, and where the judgement came from."""
    order = (0, 1) if label["probability"] > 0.5 else (1, 0)
    chosen, rejected = ([{"role": "assistant", "content": label["responses"][index]}] for index in order)
    margin = abs(label["probability"] - 0.5)
    return {"prompt": label["prompt"], "chosen": chosen, "rejected": rejected, "margin": margin} | {
        key: label[key] for key in ("scene", "responses", "judge", "first_wins", "probability", "sft_revision")
    }


def dropped(labels: list[Row]) -> Counter[str]:
    return Counter(label["dropped"] for label in labels if label["dropped"])
