"""Analysis of a blind study: shares of choices, pairwise tests (Holm), and agreement between raters (kappa)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from eval.human.sheet_votes import SheetVote
from stats.intervals import Estimate, bootstrap_ratio, holm_correction, sign_flip_test
from stats.kappa import cohen_kappa, fleiss_kappa


class ShareDifference(NamedTuple):
    """Difference of two variants' shares of the choices."""

    difference: Estimate
    p_value: float
    """Of the sign-flip test over prompts, adjusted for the number of pairs (Holm)."""


def analyse(votes: Sequence[SheetVote], seed: int = 0) -> dict[str, Any]:
    """Shares, pairwise tests and agreement, as plain JSON.

    A choice of a reply that several variants gave is shared by them. Ties stand apart: shares are of the choices.
    Repeats count for self-consistency alone. Prompts are the clusters of every interval and test.

    Raises:
        ValueError: nobody has chosen anything.
    """
    first = [vote for vote in votes if vote.copy == 0]
    choices = [vote for vote in first if vote.chosen]
    if not choices:
        raise ValueError("no choice among the votes")
    variants = sorted({variant for vote in first for variant in vote.shown})
    by_item = votes_by_item(choices)
    made = [float(len(own)) for own in by_item.values()]
    credit = {variant: [credits(own, variant) for own in by_item.values()] for variant in variants}
    shares = {variant: bootstrap_ratio(credit[variant], made, seed) for variant in variants}
    apart = {
        (one, other): [a - b for a, b in zip(credit[one], credit[other], strict=True)]
        for one, other in itertools.combinations(variants, 2)
    }
    adjusted = holm_correction([sign_flip_test(differences, seed) for differences in apart.values()])
    pairs = {
        f"{one} - {other}": ShareDifference(bootstrap_ratio(differences, made, seed), p)
        for ((one, other), differences), p in zip(apart.items(), adjusted, strict=True)
    }
    return {
        "prompts": len(by_item),
        "raters": len({vote.rater for vote in first}),
        "choices": len(choices),
        "ties": len(first) - len(choices),
        "shares": {variant: share._asdict() for variant, share in shares.items()},
        "pairs": {name: {"difference": pair.difference._asdict(), "p": pair.p_value} for name, pair in pairs.items()},
        "agreement": rater_agreement(first),
        "self_consistency": self_consistency(votes),
    }


def votes_by_item(votes: Sequence[SheetVote]) -> dict[str, list[SheetVote]]:
    """Votes by item, in the order of the items' names."""
    found: dict[str, list[SheetVote]] = {}
    for vote in sorted(votes, key=lambda vote: vote.item):
        found.setdefault(vote.item, []).append(vote)
    return found


def credits(choices: Sequence[SheetVote], variant: str) -> float:
    """Credit of a variant for the choices on one item: one each, or its part where a reply was several variants'."""
    return sum(1 / len(vote.chosen) for vote in choices if variant in vote.chosen)


def rater_agreement(votes: Sequence[SheetVote]) -> dict[str, Any]:
    """Cohen's kappa of two raters, or Fleiss' of more, over the items that all of them voted on; a tie is a choice."""
    raters = sorted({vote.rater for vote in votes})
    by_rater: dict[str, dict[str, tuple[str, ...]]] = {}
    for vote in votes:
        by_rater.setdefault(vote.item, {})[vote.rater] = vote.chosen
    shared = [[by[rater] for rater in raters] for by in by_rater.values() if len(by) == len(raters)]
    if len(raters) < 2 or not shared:
        return {"kappa": None, "items": len(shared), "method": "none: one rater, or no item that all voted on"}
    if len(raters) == 2:
        kappa, method = cohen_kappa(*zip(*shared, strict=True)), "Cohen"
    else:
        kappa, method = fleiss_kappa(shared), "Fleiss"
    return {"kappa": None if math.isnan(kappa) else kappa, "items": len(shared), "method": method}


def self_consistency(votes: Sequence[SheetVote]) -> dict[str, Any]:
    """Self-consistency: the share of repeats on which a rater chose as before."""
    before = {(vote.rater, vote.item): vote.chosen for vote in votes if vote.copy == 0}
    again = [vote for vote in votes if vote.copy and (vote.rater, vote.item) in before]
    same = [vote.chosen == before[vote.rater, vote.item] for vote in again]
    return {"repeats": len(same), "same": sum(same) / len(same) if same else None}


def study_table(found: dict[str, Any]) -> str:
    """Markdown table of the shares, with tests and agreement below it."""
    lines = ["| variant | share of choices |", "|---|---:|"]
    for variant, share in sorted(found["shares"].items(), key=lambda entry: -entry[1]["value"]):
        lines.append(f"| {variant} | {share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%}) |")
    counted = f"{found['choices']:,} choices and {found['ties']:,} ties"
    lines += ["", f"{counted} by {found['raters']} raters on {found['prompts']:,} prompts"]
    for name, pair in found["pairs"].items():
        difference = pair["difference"]
        lines.append(
            f"{name}: {100 * difference['value']:+.1f} points ({100 * difference['low']:+.1f} to "
            f"{100 * difference['high']:+.1f}), p = {pair['p']:.4f}"
        )
    kappa, consistent = found["agreement"], found["self_consistency"]
    if kappa["kappa"] is not None:
        lines.append(f"{kappa['method']}'s kappa {kappa['kappa']:.2f} over {kappa['items']:,} items")
    if consistent["repeats"]:
        lines.append(f"the same choice on {consistent['same']:.0%} of {consistent['repeats']:,} repeats")
    return "\n".join(lines)
