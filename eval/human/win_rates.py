"""Win rates of the votes of a study, by Bradley-Terry: plain, and with the replies' style as covariates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.human.sheet_votes import SheetVote
from eval.rows import RESPONSE_VARIANTS
from hub.results_table import TITLES, format_cell
from stats.bradley_terry import FIT_CLUSTERS, Battle, NoFit, battles_of, win_rates

WIN_RATE_COLUMNS = {"plain": "Bradley-Terry win rate", "equal_style": "at equal style"}


def in_order(variants: Iterable[str]) -> list[str]:
    """Variants in the order of the tables, others after them."""
    return sorted(variants, key=lambda name: ((*RESPONSE_VARIANTS, name).index(name), name))


def vote_win_rates(votes: Sequence[SheetVote], films: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Win rates of votes as plain JSON, ties as half a win; of each kind its rates, or the reason why there are none.

    Intervals are clustered by rater; by film where these are known and the raters few, who then all read the same.

    Args:
        votes: of the raters, repeats left out.
        films: of each item, its film.
    """
    variants = in_order({variant for vote in votes for variant in vote.shown})
    if films and len({vote.rater for vote in votes}) < FIT_CLUSTERS:
        clusters, unit = [films.get(vote.item, vote.item) for vote in votes], "films"
    else:
        clusters, unit = [vote.rater for vote in votes], "raters"
    battles = [
        battle
        for vote, cluster in zip(votes, clusters, strict=True)
        for battle in battles_of(vote.chosen, in_order(vote.shown), vote.styles or {}, cluster)
    ]
    plain = [battle._replace(style=None) for battle in battles]
    known = bool(battles) and all(battle.style for battle in battles)
    unknown = {"reason": "not every reply is known: the sheets' key is of an older version"}
    return {
        "unit": unit,
        "plain": rates_or_reason(plain, variants, unit),
        "equal_style": rates_or_reason(battles, variants, unit) if known else unknown,
    }


def rates_or_reason(battles: Sequence[Battle], variants: Sequence[str], unit: str) -> dict[str, Any]:
    """Rates by pair, covariates and counts; or the reason why there is no fit."""
    try:
        found = win_rates(battles, variants, unit)
    except NoFit as error:
        return {"reason": str(error)}
    return {**found._asdict(), "rates": {pair: rate._asdict() for pair, rate in found.rates.items()}}


def win_rate_lines(found: Mapping[str, Any]) -> list[str]:
    """Markdown table of win rates with their intervals, or the reason why there is none."""
    plain, equal = (found[kind] for kind in WIN_RATE_COLUMNS)
    if "reason" in plain:
        return [f"no win rates: {plain['reason']}"]
    lines = [f"| pair | {' | '.join(WIN_RATE_COLUMNS.values())} |", "|---|---:|---:|"]
    for pair, rate in plain["rates"].items():
        later, earlier = (TITLES.get(name, name) for name in pair.split(" over "))
        beside = format_cell(equal["rates"][pair], "{:.1%}") if "rates" in equal else "-"
        lines.append(f"| {later} over {earlier} | {format_cell(rate, '{:.1%}')} | {beside} |")
    style = f"style: {', '.join(equal['style'])}" if "rates" in equal else f"no style: {equal['reason']}"
    counted = f"{plain['battles']:,} comparisons, intervals of {plain['clusters']:,} {found['unit']}"
    return [*lines, "", f"50% is even; a tie is half a win for either; {style}; {counted}"]
