"""Preference pairs by source: judged by a model (embedded, or an LLM), the films' own replies, or visitors' votes.

Each function takes the section that it needs and gives a `LabelledSet`. The first two sample two replies to each prompt
by the SFT variant; votes are read from the Hub, and nothing is sampled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chat.template import STOP
from eval.judge.bias import averaged
from eval.judge.comparison import Judge, compare_in_both_orders
from eval.qualify.card import QualificationCard
from hub.errors import UserError
from hub.lineage import Input
from hub.task import log_progress
from training.feedback.gate import pass_gate
from training.feedback.labels import FILM_JUDGE, PEOPLE, LabelledPair, reason_to_drop
from training.feedback.sampling import PromptRow, SampledPairs, open_sampler, sampled, seeded_prompts
from training.recipe_preferences import Preferences

if TYPE_CHECKING:
    from chat.variants import ModelVariants
    from eval.judge.settings import JudgeSettings


@dataclass(frozen=True)
class SamplingContext:
    """What the replies of a preference set are sampled from, and where partial results are kept."""

    base: Input
    sft: Input
    dialogue: Input
    variants: ModelVariants | None
    """The models of this machine; None where a server samples and nothing here judges."""
    folder: Path
    """Qualification and sampled replies, kept for a run that was killed."""
    judge: Input | None = None
    """The embedded judge's own model, where it has one."""


@dataclass(frozen=True)
class LabelledSet:
    """Preference pairs of one source."""

    prompts: list[PromptRow]
    pairs: list[LabelledPair]
    counts: dict[str, int]
    """What was counted on the way: redraws, prompts left out, votes."""
    judges: list[Judge] = field(default_factory=list)
    """Who judged; nobody did where the source itself says what is preferred."""
    qualification: QualificationCard | None = None
    """Of the first judge."""


def from_judge(
    settings: Preferences, judges: tuple[JudgeSettings, JudgeSettings], context: SamplingContext, cache: Path
) -> LabelledSet:
    """AI feedback: pairs judged in both orders by an embedded judge or by an LLM, a second one beside it.

    The judge that decides qualifies first: nothing is sampled for one that may not label, and no label paid for.

    Args:
        settings: `source` is judge, or the name of an embedded one.
        judges: the recipe's judge and second judge; one without a model is none.
        context: models and inputs to sample from.
        cache: the judge's answers, which are paid for once.
    """
    from eval.judge.client import Client

    opened = open_judges(settings, judges, context, cache)
    card = pass_gate(opened[0], settings, context.dialogue, context.folder)
    counts: dict[str, int] = {}
    if settings.prompts_from == "judge":
        from training.feedback.prompts import test_lines, written_prompts

        with Client(judges[0], cache) as client:
            against = test_lines(context.dialogue)
            prompts, counts = written_prompts(client, settings.prompts, settings.seed, against)
    else:
        prompts = seeded_prompts(context.dialogue, settings)
    replies = sample_replies(settings, prompts, context)
    pairs = judge_pairs(opened, prompts, replies, settings, context.sft)
    return LabelledSet(prompts, pairs, counts | replies.counts, opened, card)


def from_films(settings: Preferences, context: SamplingContext) -> LabelledSet:
    """SPIN's pairs (Chen et al., 2024): the film's own reply is preferred to the first sampled one, nobody is asked."""
    prompts = seeded_prompts(context.dialogue, settings)
    replies = sample_replies(settings, prompts, context)
    pairs = [
        LabelledPair.unjudged(
            row,
            (str(row["film_reply"]), sample.text),
            FILM_JUDGE,
            ended=(STOP, sample.finish_reason),
            seed=seed,
            sft_revision=context.sft.revision,
        )
        for row, (sample, _), seed in zip(prompts, replies.pairs, replies.seeds, strict=True)
    ]
    return LabelledSet(prompts, pairs, replies.counts)


def from_votes(votes: Input) -> LabelledSet:
    """Human feedback: what a visitor of the page chose, against each of the replies that it did not choose.

    Raises:
        UserError: there is no vote.
    """
    from hub.votes.vote import votes as read

    pairs: list[LabelledPair] = []
    prompts: list[PromptRow] = []
    counts = Counter[str]()
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
            sft = vote.revisions.get("sft")
            known = {"ended": (None, None), "seed": None, "sft_revision": sft}
            pairs.append(LabelledPair.unjudged(prompts[-1], (chosen, other), PEOPLE, **known))
    if not pairs:
        raise UserError(f"{votes.repo} has no vote for a reply yet; collect some on the page first")
    return LabelledSet(prompts, pairs, dict(counts))


def sample_replies(settings: Preferences, prompts: list[PromptRow], context: SamplingContext) -> SampledPairs:
    """Two replies to each prompt, by the server that the recipe names or the models of this machine."""
    by = f" by {settings.server_model} of {settings.server}" if settings.server else ""
    log_progress("preferences", f"sampling two replies to each of {len(prompts):,} prompts{by}")
    with open_sampler(context.variants, context.base, settings) as sampler:
        return sampled(sampler, prompts, settings, context.folder)


def open_judges(
    settings: Preferences, judges: tuple[JudgeSettings, JudgeSettings], context: SamplingContext, cache: Path
) -> list[Judge]:
    """Who labels the pairs: one judge, or a second one beside it for comparison."""
    if settings.embedded:
        from eval.judge.embedded import open_embedded

        return [open_embedded(settings.source, context.variants, context.judge.revision if context.judge else None)]
    from eval.judge.client import Client
    from eval.judge.pairwise import LLMJudge

    first, second = judges
    return [LLMJudge(Client(one, cache)) for one in ([first, second] if second.model else [first])]


def judge_pairs(
    judges: list[Judge], prompts: list[PromptRow], replies: SampledPairs, settings: Preferences, sft: Input
) -> list[LabelledPair]:
    """Label of each pair: its judgements in both orders, and why it is dropped, if it is. The first judge decides."""
    scores = [judge_both_orders(judge, prompts, replies) for judge in judges]
    pairs = []
    for index, (row, (first, second)) in enumerate(zip(prompts, replies.pairs, strict=True)):
        pair = LabelledPair(
            **row,
            responses=(first.text, second.text),
            ended=(first.finish_reason, second.finish_reason),
            seed=replies.seeds[index],
            judge=judges[0].name,
            first_wins=scores[0][index],
            probability=averaged([scores[0][index]])[0],
            second_judge=judges[1].name if len(judges) > 1 else None,
            second_first_wins=scores[1][index] if len(judges) > 1 else None,
            sft_revision=sft.revision,
        )
        pairs.append(replace(pair, dropped=reason_to_drop(pair, settings)))
    return pairs


def judge_both_orders(judge: Judge, prompts: list[PromptRow], replies: SampledPairs) -> list[tuple[float, float]]:
    """Probability that the reply shown first wins, of every pair in both orders: position bias averages out."""
    log_progress("preferences", f"judging by {judge.name}, in both orders")
    pairs = [(row["prompt"], a.text, b.text) for row, (a, b) in zip(prompts, replies.pairs, strict=True)]
    return compare_in_both_orders(judge, pairs)
