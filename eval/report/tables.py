"""Markdown tables of a report."""

from __future__ import annotations

from collections.abc import Sequence

from eval import agreement
from eval.agreement import PairedScore
from eval.report.evidence import Evidence
from eval.report.gather import Material
from hub.results_table import TITLES

FEW_FILMS = 20  # with fewer, intervals over films are too narrow to be believed


def evidence_table(found: Sequence[Evidence]) -> str:
    """Markdown table of the evidence, a row a measure and pair."""
    lines = [
        "| measure | pair | prompts | difference | p | at equal length | verdict |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for one in found:
        first, second = one.pair
        equal = format_estimate(one.equal_length, one) if one.equal_length else "-"
        better = {"better": f"**{TITLES[first]}**", "worse": f"**{TITLES[second]}**", "open": "open"}[one.verdict]
        cells = [
            f"{one.measure.title} ({one.measure.unit})",
            f"{TITLES[first]} over {TITLES[second]}",
            f"{one.prompts:,}",
            format_estimate(one.paired.difference, one),
            f"{one.paired.p_value:.4f}",
            equal,
            better,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def format_estimate(estimate: Sequence[float], one: Evidence) -> str:
    """Estimate with its interval, in the unit that the measure is shown in."""
    form = "{:+.1f}" if one.measure.scale > 1 else "{:+.3f}"
    value, low, high = (form.format(one.measure.scale * number) for number in estimate)
    return f"{value} ({low} to {high})"


def agreement_table(scores: dict[str, list[PairedScore]]) -> str:
    """Markdown table of rank correlations by response and by item, as G-Eval reports them."""
    if not any(scores.values()):
        return ""
    return agreement.correlation_table(
        scores, measures=("spearman", "kendall"), levels=("response", "item"), resamples=200
    )


def cost_table(made: Material) -> str:
    """Markdown table of what each judge cost."""
    lines = ["| judge | asked |", "|---|---|"]
    lines += [f"| {judge.name} | {judge.facts['cost']} |" for judge in made.judges]
    return "\n".join([*lines, f"| {made.results['judge']} | nothing: it is computed here |"])


def count_table(made: Material) -> str:
    """Markdown table of what was missing or unreadable: none of it is in the metrics, none is a zero."""
    lines = ["| what | count |", "|---|---:|"]
    for variant in made.variants:
        empty = sum(not response.variants[variant].text.strip() for response in made.responses)
        lines.append(f"| empty replies of {TITLES[variant]} | {empty:,} |")
    for judge in made.judges:
        lines.append(f"| scores by {judge.name} | {judge.facts['scored']:,} |")
        lines.append(f"| unscored by {judge.name} | {judge.facts['unscored']:,} |")
        lines.append(f"| scores by {judge.name} of low mass | {judge.facts['low_mass']:,} |")
    for who, choices in made.people.items():
        lines += [f"| {who}: {what} | {count:,} |" for what, count in choices.counts.items()]
    return "\n".join(lines)
