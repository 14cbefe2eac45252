"""Markdown tables of a report."""

from __future__ import annotations

from collections.abc import Sequence

from eval import agreement
from eval.agreement import PairedScore
from eval.report.controls import Controlled
from eval.report.evidence import Evidence
from eval.report.gather import Material
from hub.comparisons import VariantComparison, format_interval
from hub.results_table import TITLES


def evidence_table(found: Sequence[Evidence]) -> str:
    """Markdown table of the evidence, a row a comparison."""
    lines = [
        "| measure | pair | prompts | first over second | p | at equal length | at equal style | verdict |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for one in found:
        compared = one.comparison
        first, second = compared.pair
        verdict = {"better": f"**{TITLES[first]}**", "worse": f"**{TITLES[second]}**"}
        unit = f" ({compared.format.unit})" if compared.format.unit else ""
        cells = [
            f"{compared.title}{unit}",
            f"{TITLES[first]} over {TITLES[second]}",
            f"{one.prompts:,}",
            format_interval(compared.estimate, compared.format),
            "-" if compared.p_value is None else f"{compared.p_value:.4f}",
            controlled_cell(one.equal_length, compared),
            controlled_cell(one.equal_style, compared),
            verdict.get(compared.verdict, compared.verdict),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def controlled_cell(one: Controlled | None, compared: VariantComparison) -> str:
    """Controlled comparison with its interval, and a warning where it is extrapolated."""
    if one is None:
        return "-"
    shown = format_interval(one.estimate._asdict(), compared.format)
    return f"{shown}, **extrapolated** ({', '.join(one.extrapolated)})" if one.extrapolated else shown


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
