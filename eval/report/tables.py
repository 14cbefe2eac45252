"""The tables of a report, in markdown."""

from __future__ import annotations

from collections.abc import Sequence

from eval import agreement
from eval.agreement import PairedScore
from eval.report.evidence import Evidence
from eval.report.gather import Material
from hub.results_table import TITLES

FEW = 20  # films; with fewer, intervals over films are too narrow to be believed


def evidence(found: Sequence[Evidence]) -> str:
    """What speaks for one variant against another: a row a measure and pair."""
    lines = [
        "| measure | pair | prompts | difference | p | at equal length | verdict |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for one in found:
        first, second = one.pair
        equal = told(one.equal_length, one) if one.equal_length else "-"
        better = {"better": f"**{TITLES[first]}**", "worse": f"**{TITLES[second]}**", "open": "open"}[one.verdict]
        cells = [
            f"{one.measure.what} ({one.measure.unit})",
            f"{TITLES[first]} over {TITLES[second]}",
            f"{one.prompts:,}",
            told(one.apart.difference, one),
            f"{one.apart.p_value:.4f}",
            equal,
            better,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def told(estimate: Sequence[float], one: Evidence) -> str:
    form = "{:+.1f}" if one.measure.times > 1 else "{:+.3f}"
    value, low, high = (form.format(one.measure.times * number) for number in estimate)
    return f"{value} ({low} to {high})"


def agreed(scores: dict[str, list[PairedScore]]) -> str:
    """Rank correlations by response and by item, as G-Eval reports them; `eval.agreement` has more of them."""
    if not any(scores.values()):
        return ""
    return agreement.table(scores, measures=("spearman", "kendall"), levels=("response", "item"), resamples=200)


def costs(made: Material) -> str:
    lines = ["| judge | asked |", "|---|---|"]
    lines += [f"| {judge.name} | {judge.facts['cost']} |" for judge in made.judges]
    return "\n".join([*lines, f"| {made.results['judge']} | nothing: it is computed here |"])


def counts(made: Material) -> str:
    """What was not there, or could not be read: nothing of it is in the figures, and none of it is a zero."""
    lines = ["| what | count |", "|---|---:|"]
    for variant in made.variants:
        empty = sum(not row[variant]["text"].strip() for row in made.rows)
        lines.append(f"| empty replies of {TITLES[variant]} | {empty:,} |")
    for judge in made.judges:
        lines.append(f"| scores by {judge.name} | {judge.facts['scored']:,} |")
        lines.append(f"| unscored by {judge.name} | {judge.facts['unscored']:,} |")
        lines.append(f"| scores by {judge.name} of low mass | {judge.facts['low_mass']:,} |")
    for who, heard in made.people.items():
        lines += [f"| {who}: {what} | {count:,} |" for what, count in heard.counts.items()]
    return "\n".join(lines)
