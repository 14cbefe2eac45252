"""Analysis of a blind study: shares of choices, pairwise tests (Holm), and agreement between raters (kappa).

Controls (the film's own reply, another film's) are tested apart, so that they cost the variants' tests nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.human.sheet_votes import SheetVote
from eval.human.win_rates import in_order, vote_win_rates, win_rate_lines
from eval.rows import CONTROLS, compared_pairs
from hub.comparisons import comparisons
from hub.results_table import format_cell
from stats.clustered import clustered_mean, paired_difference
from stats.kappa import cohen_kappa, fleiss_kappa


def analyse(votes: Sequence[SheetVote], films: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Shares, pairwise tests and agreement, as plain JSON; `study_table` and `hub.comparisons` read it.

    A choice of a reply that several variants gave is shared by them. Ties stand apart: shares are of the choices.
    Repeats count for self-consistency alone.

    Args:
        votes: of the raters.
        films: of each item, its film, the cluster of every interval and test; where not known, prompts are.

    Raises:
        ValueError: nobody has chosen anything.
    """
    first = [vote for vote in votes if vote.copy == 0]
    choices = [vote for vote in first if vote.chosen]
    if not choices:
        raise ValueError("no choice among the votes")
    there = {variant for vote in first for variant in vote.shown}
    variants = in_order(there)
    by_item = votes_by_item(choices)
    made = [float(len(own)) for own in by_item.values()]
    credit = {variant: [credits(own, variant) for own in by_item.values()] for variant in variants}
    clusters, unit = [(films or {}).get(item, item) for item in by_item], "films" if films else "prompts"

    def differences(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        return {
            f"{one} - {other}": paired_difference(credit[one], credit[other], clusters, made)._asdict() | {"unit": unit}
            for one, other in pairs
        }

    own = [name for name in variants if name not in CONTROLS]
    return {
        "prompts": len(by_item),
        "raters": len({vote.rater for vote in first}),
        "choices": len(choices),
        "ties": len(first) - len(choices),
        "shares": {name: clustered_mean(one, clusters, made)._asdict() for name, one in credit.items()},
        "pairs": differences((later, earlier) for earlier, later in itertools.combinations(own, 2)),
        "controls": differences(pair for pair in compared_pairs(variants) if set(pair) & set(CONTROLS)),
        "win_rates": vote_win_rates(first, films),
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
    """Markdown table of the shares, with agreement and win rates below it."""
    lines = ["| variant | share of choices |", "|---|---:|"]
    for variant, share in sorted(found["shares"].items(), key=lambda entry: -entry[1]["value"]):
        lines.append(f"| {variant} | {format_cell(share, '{:.1%}')} |")
    counted = f"{found['choices']:,} choices and {found['ties']:,} ties"
    lines += ["", f"{counted} by {found['raters']} raters on {found['prompts']:,} prompts"]
    kappa, consistent = found["agreement"], found["self_consistency"]
    if kappa["kappa"] is not None:
        lines.append(f"{kappa['method']}'s kappa {kappa['kappa']:.2f} over {kappa['items']:,} items")
    if consistent["repeats"]:
        lines.append(f"the same choice on {consistent['same']:.0%} of {consistent['repeats']:,} repeats")
    return "\n".join([*lines, "", *win_rate_lines(found["win_rates"])])


def difference_lines(found: dict[str, Any]) -> list[str]:
    """Lines of the differences between variants, with p-values adjusted for the study's own pairs (Holm); and controls.

    The controls are a family of their own, so that they cost the variants' tests nothing.
    """
    families = (found["pairs"], found.get("controls", {}))
    return [
        f"{' - '.join(one.pair)}: {one.interval()}, {one.chance()}"
        for pairs in families
        for one in comparisons({"people": {"all": {"pairs": pairs}}})
    ]
