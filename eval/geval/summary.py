"""Summary of G-Eval scores: means by criterion and variant, paired gains on the same prompts, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.geval.scoring import LOW_MASS
from eval.rows import PAIRS, ScoreRow
from hub.results_table import TITLES
from stats.intervals import Estimate, bootstrap_ratio


def mean_scores(rows: Sequence[ScoreRow], seed: int = 0) -> dict[str, dict[str, Estimate]]:
    """Mean scores by criterion and variant, with the bootstrap over prompts; what is unscored is left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["score"] is not None:
            found.setdefault(row["criterion"], {}).setdefault(row["voice"], []).append(row["score"])
    return {
        name: {variant: bootstrap_ratio(scores, [1.0] * len(scores), seed) for variant, scores in variants.items()}
        for name, variants in found.items()
    }


def gains(rows: Sequence[ScoreRow], seed: int = 0) -> dict[str, dict[str, Estimate]]:
    """Paired gains of a variant over another by criterion, on the prompts where both were scored."""
    by = {(row["criterion"], row["item"], row["voice"]): row["score"] for row in rows if row["score"] is not None}
    found: dict[str, dict[str, Estimate]] = {}
    for name in dict.fromkeys(row["criterion"] for row in rows):
        for above, below in PAIRS:
            differences = [
                value - by[name, item, below]
                for (criterion, item, variant), value in by.items()
                if criterion == name and variant == above and (name, item, below) in by
            ]
            if differences:
                found.setdefault(name, {})[f"{above} - {below}"] = bootstrap_ratio(
                    differences, [1.0] * len(differences), seed
                )
    return found


def geval_table(results: dict[str, Any]) -> str:
    """Markdown table of means and gains."""
    variants = [variant for variant in TITLES if any(variant in own for own in results["means"].values())]
    differences = [f"{above} - {below}" for above, below in PAIRS]  # a lineage keeps its facts sorted by name
    titles = [TITLES[variant] for variant in variants] + [f"{TITLES[a]} over {TITLES[b]}" for a, b in PAIRS]
    lines = [
        "| criterion | " + " | ".join(titles) + " |",
        "|---|" + "---:|" * (len(variants) + len(differences)),
    ]
    for name, own in results["means"].items():
        cells = [estimate_cell(own.get(variant), "{:.2f}") for variant in variants]
        cells += [estimate_cell(results["gains"].get(name, {}).get(which), "{:+.2f}") for which in differences]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    counts = f"{results['scored']:,} scores by {results['judge']}, {results['unscored']:,} unscored, "
    return "\n".join([*lines, "", f"{counts}{results['low_mass']:,} of less mass than {LOW_MASS}; {results['mode']}"])


def estimate_cell(estimate: dict[str, float] | None, form: str) -> str:
    """Table cell of an estimate with its interval; a dash where there is none."""
    if estimate is None:
        return "-"
    return f"{form.format(estimate['value'])} ({form.format(estimate['low'])} to {form.format(estimate['high'])})"
