"""Summary of G-Eval scores by criterion and variant: means, gains on the same prompts, low-score tails, correlations.

Films are the clusters: replies to lines of one film are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from eval.agreement import correlation
from eval.judge.messages import LOW_MASS
from eval.metrics import LOW_TAIL
from eval.rows import ScoreRow, compared_pairs
from hub.results_table import TITLES, format_cell, scale_of
from stats.clustered import ALPHA, ClusterEstimate, clustered_mean, paired_difference, too_few
from stats.intervals import holm_correction

ONE_CRITERION = 0.9  # two criteria that correlate so highly measure one thing
Scored = dict[str, dict[str, dict[int, float]]]
"""Scores by criterion, variant and item; what is unscored is left out."""


def summarize_scores(rows: Sequence[ScoreRow]) -> dict[str, Any]:
    """Counts, means, gains, tails and correlations, as results and lineages have them."""
    return {
        **count_scores(rows),
        "means": {n: {v: e._asdict() for v, e in own.items()} for n, own in mean_scores(rows).items()},
        "gains": {n: {pair: e._asdict() for pair, e in own.items()} for n, own in gains(rows).items()},
        "tails": low_tails(rows),
        "correlations": correlate_criteria(rows),
    }


def count_scores(rows: Sequence[ScoreRow]) -> dict[str, int]:
    """Counts of what is scored, unscored, refused (of the unscored) and of low mass (of the scored)."""
    return {
        "scored": sum(row["score"] is not None for row in rows),
        "unscored": sum(row["score"] is None for row in rows),
        "refused": sum(row["refused"] for row in rows),
        "low_mass": sum(row["score"] is not None and row["mass"] < LOW_MASS for row in rows),
    }


def group_scores(rows: Sequence[ScoreRow]) -> Scored:
    """Scores by criterion, variant and item."""
    found: Scored = {}
    for row in rows:
        if row["score"] is not None:
            found.setdefault(row["criterion"], {}).setdefault(row["voice"], {})[row["item"]] = row["score"]
    return found


def mean_scores(rows: Sequence[ScoreRow]) -> dict[str, dict[str, ClusterEstimate]]:
    """Mean scores by criterion and variant, clustered by film; what is unscored is left out."""
    films = {row["item"]: row["movie_id"] for row in rows}
    return {
        name: {
            variant: clustered_mean(list(scores.values()), [films[item] for item in scores])
            for variant, scores in variants.items()
        }
        for name, variants in group_scores(rows).items()
    }


def gains(rows: Sequence[ScoreRow]) -> dict[str, dict[str, ClusterEstimate]]:
    """Paired gains by criterion and pair, on the prompts where both were scored, clustered by film.

    p-values are adjusted for all gains, which are shown together (Holm).
    """
    films = {row["item"]: row["movie_id"] for row in rows}
    found: dict[tuple[str, str], ClusterEstimate] = {}
    for name, variants in group_scores(rows).items():
        for above, below in compared_pairs(variants):
            both = sorted(variants[above].keys() & variants[below].keys())
            if both:
                first, second = ([variants[side][item] for item in both] for side in (above, below))
                found[name, f"{above} - {below}"] = paired_difference(first, second, [films[item] for item in both])
    adjusted = holm_correction([one.p_value for one in found.values()])
    by_criterion: dict[str, dict[str, ClusterEstimate]] = {}
    for ((name, pair), one), p_value in zip(found.items(), adjusted, strict=True):
        by_criterion.setdefault(name, {})[pair] = one._replace(p_value=p_value)
    return by_criterion


def on_one_scale(rows: Sequence[ScoreRow], judge: Mapping[str, Any]) -> list[ScoreRow]:
    """Rows whose scores may be averaged over criteria: as they are on one scale, else as shares of their scales."""
    scales = {name: scale_of(judge, name) for name in {row["criterion"] for row in rows}}
    if len(set(scales.values())) <= 1:
        return list(rows)
    found: list[ScoreRow] = []
    for row in rows:
        low, high = scales[row["criterion"]]
        found.append({**row, "score": None if row["score"] is None else (row["score"] - low) / (high - low)})
    return found


def low_tails(rows: Sequence[ScoreRow]) -> dict[str, dict[str, dict[str, float]]]:
    """Quantiles of the low-score tail by criterion and variant, as `5%`."""
    return {
        name: {
            variant: {f"{q:.0%}": float(np.quantile(list(scores.values()), q)) for q in LOW_TAIL}
            for variant, scores in variants.items()
        }
        for name, variants in group_scores(rows).items()
    }


def correlate_criteria(rows: Sequence[ScoreRow]) -> dict[str, dict[str, float | None]]:
    """Spearman's rho of each two criteria over all replies that both score; None where one does not vary."""
    scores = {
        name: {(variant, item): score for variant, own in variants.items() for item, score in own.items()}
        for name, variants in group_scores(rows).items()
    }
    found: dict[str, dict[str, float | None]] = {name: {name: 1.0} for name in scores}
    for one, other in combinations(scores, 2):
        both = sorted(scores[one].keys() & scores[other].keys())
        rho = correlation("spearman", *(np.array([scores[name][key] for key in both]) for name in (one, other)))
        found[one][other] = found[other][one] = None if math.isnan(rho) else rho
    return found


def geval_table(results: Mapping[str, Any]) -> str:
    """Markdown tables of means, gains, low-score tails and correlations, and how many answers were no score."""
    criteria = list(results["means"])
    variants = [name for name in TITLES if any(name in own for own in results["means"].values())]
    titles = [TITLES[variant] for variant in variants]
    means = [
        ["{}, {} to {}".format(name, *scale_of(results, name))]
        + [estimate_cell(results["means"][name].get(variant), "{:.2f}") for variant in variants]
        for name in criteria
    ]
    differences = [
        [f"{TITLES[above]} over {TITLES[below]}"]
        + [estimate_cell(results["gains"].get(name, {}).get(f"{above} - {below}"), "{:+.2f}") for name in criteria]
        for above, below in compared_pairs(variants)
    ]
    tails = [
        [name] + [" / ".join(f"{results['tails'][name][variant][f'{q:.0%}']:.2f}" for q in LOW_TAIL)
                  if variant in results["tails"][name] else "-" for variant in variants]
        for name in criteria
    ]  # fmt: skip
    quantiles = " / ".join(f"{q:.0%}" for q in LOW_TAIL)
    return "\n\n".join(
        [
            markdown_table(["mean score", *titles], means),
            markdown_table(["gain on the same prompts", *criteria], differences),
            f"Bold: p below {ALPHA} by sign flips of whole films, adjusted for all gains (Holm).",
            markdown_table([f"low scores, {quantiles}", *titles], tails),
            correlation_matrix(results["correlations"]),
            describe_counts(results),
        ]
    )


def correlation_matrix(correlations: Mapping[str, Mapping[str, float | None]]) -> str:
    """Markdown table of the criteria's correlations, and a sentence on those that are one criterion."""
    names = list(correlations)
    cells = [[name, *(number_cell(correlations[name].get(other)) for other in names)] for name in names]
    one = [
        f"{first} and {second}"
        for first, second in combinations(names, 2)
        if (correlations[first].get(second) or 0.0) >= ONE_CRITERION
    ]
    note = f"\n\nAt {ONE_CRITERION} or more, two criteria are one to this judge: {', '.join(one)}." if one else ""
    return markdown_table(["Spearman's rho", *names], cells) + note


def describe_counts(results: Mapping[str, Any]) -> str:
    """How many answers were scores, how many were not and why, and how the judge was asked."""
    return (
        f"{results['scored']:,} scores by {results['judge']}, {results['low_mass']:,} of them of less mass than "
        f"{LOW_MASS}; {results['unscored']:,} unscored (mass below {results['mass_floor']}), {results['refused']:,} of "
        f"them refusals; {results['mode']}; steps by {results['rubric']['written_by']} "
        f"({results['rubric']['sha256'][:7]})"
    )


def estimate_cell(estimate: Mapping[str, Any] | None, form: str) -> str:
    """Table cell of a clustered estimate: its interval, or why there is none; bold where its p is below ALPHA."""
    cell = format_cell(estimate, form)
    if estimate is None:
        return cell
    if estimate["low"] is None:
        cell += f" ({too_few(estimate['clusters'])})"
    return f"**{cell}**" if estimate["p_value"] is not None and estimate["p_value"] < ALPHA else cell


def number_cell(number: float | None) -> str:
    """Table cell of a correlation; a dash where there is none."""
    return "-" if number is None else f"{number:.2f}"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table whose first column is text and whose others are numbers."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
