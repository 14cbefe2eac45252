"""Evidence for one variant against another: the comparisons of the results, and what is left at equal length and style.

The comparisons themselves are `hub.comparisons`: the same numbers that the evaluation's card and the page show. Here
judges' scores are added to them, and controls to those of the variants' own replies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from eval.human.analysis import credits, votes_by_item
from eval.human.sheet_votes import SheetVote
from eval.metrics import win
from eval.report.controls import Controlled, at_equal_length_and_style, style_differences
from eval.report.gather import Material
from eval.rows import PAIRS, Response, ScoreRow
from hub.comparisons import JUDGE_KEYS, PREFERRED, VariantComparison, comparisons
from stats.clustered import ClusterEstimate, paired_difference


class Evidence(NamedTuple):
    """Comparison of two variants with its controls."""

    comparison: VariantComparison
    prompts: int
    equal_length: Controlled | None = None
    """What is left where both replies are equally long; None where length plays no part,"""
    equal_style: Controlled | None = None
    """and where they echo and punctuate alike as well."""


Values = Callable[[str, str], list[float]]
"""Values of two variants on every prompt: the first one's win, or its score less the second's; NaN where missing."""


def score_differences(made: Material) -> dict[str, dict[str, ClusterEstimate]]:
    """Paired differences of the judges' mean scores by pair, under the keys of `hub.comparisons`."""
    found: dict[str, dict[str, ClusterEstimate]] = {}
    for key, judge in zip(JUDGE_KEYS, made.judges, strict=False):
        scores = overall_scores(judge.rows)
        for first, second in PAIRS:
            values = score_values(len(made.responses), scores, first, second)
            kept = [index for index, value in enumerate(values) if not math.isnan(value)]
            if kept:
                films = [made.responses[index].movie_id for index in kept]
                own = found.setdefault(f"{first} - {second}", {})
                own[key] = paired_difference([values[index] for index in kept], [0.0] * len(kept), films)
    return found


def with_scores(results: Mapping[str, Any], scores: Mapping[str, Mapping[str, ClusterEstimate]]) -> dict[str, Any]:
    """Paired comparisons of the results, with the judges' beside them, as plain JSON."""
    paired = {pair: dict(own) for pair, own in results.get("paired", {}).items()}
    for pair, found in scores.items():
        paired.setdefault(pair, {}).update({key: estimate._asdict() for key, estimate in found.items()})
    return paired


def weigh_evidence(made: Material, results: Mapping[str, Any]) -> list[Evidence]:
    """Evidence of every comparison in a report's results."""
    found = []
    for one in comparisons(results):
        values = values_of(made, one)
        if values is None:
            prompts = results["people"][one.judge]["prompts"] if one.key == "people" else results["prompts"]
            found.append(Evidence(one, prompts))
        else:
            found.append(with_controls(made, one, values(*one.pair)))
    return found


def values_of(made: Material, one: VariantComparison) -> Values | None:
    """Values behind a comparison of the variants' own replies to the evaluation's prompts; None for any other."""
    if not set(one.pair) <= set(made.variants):
        return None
    if one.key == PREFERRED:
        return partial(preference_values, made.responses)
    if one.key in JUDGE_KEYS:
        judge = made.judges[JUDGE_KEYS.index(one.key)]
        return partial(score_values, len(made.responses), overall_scores(judge.rows))
    if one.key == "people" and one.judge == "raters":
        return partial(choice_values, made.sheet_ids, made.people["raters"].votes)
    return None


def with_controls(made: Material, one: VariantComparison, values: Sequence[float]) -> Evidence:
    """Evidence with length control, and with style control, on the prompts that have values."""
    kept = [index for index, value in enumerate(values) if not math.isnan(value)]
    films = [made.responses[index].movie_id for index in kept]
    own = [values[index] for index in kept]
    answered = [made.responses[index] for index in kept]
    first, second = ([row.variants[name].text for row in answered] for name in one.pair)
    differences = list(map(style_differences, [row.prompt for row in answered], first, second))
    length, every = at_equal_length_and_style(own, differences, films, preference=one.key == PREFERRED)
    return Evidence(one, len(kept), length, every)


def preference_values(responses: Sequence[Response], first: str, second: str) -> list[float]:
    """Preference: 1 for the variant whose response won over both orders together, one half for a tie."""
    won = []
    for row in responses:
        both = row.first_better.get(f"{first} over {second}") or [math.nan]
        same = row.variants[first].text == row.variants[second].text
        average = sum(both) / len(both)
        won.append(average if math.isnan(average) and not same else win(average, same))
    return won


def score_values(count: int, scores: Mapping[tuple[int, str], float], first: str, second: str) -> list[float]:
    """Differences of a judge's scores by prompt, of `count` prompts."""
    return [scores.get((index, first), math.nan) - scores.get((index, second), math.nan) for index in range(count)]


def overall_scores(rows: Sequence[ScoreRow]) -> dict[tuple[int, str], float]:
    """Mean score over the criteria by item and variant; only where every one is scored."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in rows:
        value = math.nan if row["score"] is None else row["score"]
        found.setdefault((row["item"], row["voice"]), []).append(value)
    means = {key: sum(own) / len(own) for key, own in found.items()}
    return {key: mean for key, mean in means.items() if not math.isnan(mean)}


def choice_values(items: Sequence[str], votes: Sequence[SheetVote], first: str, second: str) -> list[float]:
    """Difference of two variants' shares of the raters' choices, by prompt; NaN where nobody chose."""
    choices = votes_by_item([vote for vote in votes if vote.copy == 0 and vote.chosen])
    return [
        (credits(choices[item], first) - credits(choices[item], second)) / len(choices[item])
        if item in choices
        else math.nan
        for item in items
    ]


def evidence_facts(one: Evidence) -> dict[str, Any]:
    """Evidence as plain JSON."""
    compared = one.comparison
    return {
        "measure": compared.title,
        "pair": " - ".join(compared.pair),
        "prompts": one.prompts,
        "difference": {end: compared.estimate[end] for end in ("value", "low", "high")},
        "p_value": compared.p_value,
        "clusters": compared.estimate.get("clusters"),
        "equal_length": one.equal_length and one.equal_length.facts(),
        "equal_style": one.equal_style and one.equal_style.facts(),
        "verdict": compared.verdict,
    }
