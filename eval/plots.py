"""Plots of an evaluation as PNG; `hub.results_table` has the numbers as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.rows import ScoreRow
from hub.results_table import ROWS, TITLES
from stats.plots import empty_figure, save_figure

COLOURS = {"base": "#9a9a9a", "sft": "#3b78b5", "dpo": "#c2542d", "rl": "#5a8f4e"}
PANELS = ("perplexity", "hits_pmi", "stop_rate", "distinct_2")
Facts = Mapping[str, Any]


def metrics_figure(results: dict[str, Any], path: Path) -> Path:
    """Bar charts of the metrics in PANELS with 95% intervals, a panel each; returns the PNG's path."""
    variants, n = ordered_variants([results["voices"]]), results["candidates"]
    canvas = empty_figure(11, 3.6)
    for axes, key in zip(canvas.subplots(1, len(PANELS)), PANELS, strict=True):
        for place, name in enumerate(variants):
            bar(axes, place, results["voices"][name][key], name, ROWS[key].form)
        axes.set_xticks(range(len(variants)), [TITLES[name] for name in variants])
        axes.set_title(ROWS[key].title.format(n=n).replace("`", ""), fontsize=10)
        axes.set_ylabel(ROWS[key].axis, fontsize=9)
        axes.margins(y=0.15)
        if key == "hits_pmi":
            axes.axhline(1 / n, color="#222222", linewidth=1, linestyle=":")
    canvas.suptitle(
        f"Base, fine-tuned and DPO on {results['prompts']:,} prompts of unseen films, with 95% intervals", fontsize=11
    )
    return save_figure(canvas, path)


def means_figure(judges: Sequence[Facts], people: Mapping[str, Facts], path: Path) -> Path:
    """Bar charts of mean scores by criterion and variant, a panel a judge, beside people's choices; 95% intervals.

    Args:
        judges: as `eval.geval` publishes their results.
        people: who chose, and what `eval.human.analysis.analyse` found of them.
        path: of the PNG.
    """
    from matplotlib.patches import Patch

    panels = len(judges) + len(people)
    canvas = empty_figure(0.6 + 5.2 * len(judges) + 3.2 * len(people), 4.2)
    widths = [5.2] * len(judges) + [3.2] * len(people)
    every = canvas.subplots(1, panels, squeeze=False, gridspec_kw={"width_ratios": widths})[0]
    for axes, judge in zip(every, judges, strict=False):
        criteria, variants = list(judge["means"]), ordered_variants(judge["means"].values())
        for place, name in enumerate(criteria):
            for step, variant in enumerate(variants):
                if variant in judge["means"][name]:
                    width = 0.8 / len(variants)
                    where = place + (step - (len(variants) - 1) / 2) * width
                    bar(axes, where, judge["means"][name][variant], variant, "{:.2f}", width)
        axes.set_xticks(range(len(criteria)), criteria)
        axes.set_ylim(1, 5.3)
        axes.set_title(f"G-Eval by {judge['judge']}", fontsize=10)
        axes.set_ylabel("mean score, 1 to 5", fontsize=9)
        handles = [Patch(color=COLOURS[variant], label=TITLES[variant]) for variant in variants]
        axes.legend(handles=handles, fontsize=8, frameon=False, ncols=len(variants))
    for axes, (who, study) in zip(every[len(judges) :], people.items(), strict=True):
        variants = ordered_variants([study["shares"]])
        for place, variant in enumerate(variants):
            bar(axes, place, study["shares"][variant], variant, "{:.0%}")
        axes.set_xticks(range(len(variants)), [TITLES[variant] for variant in variants])
        axes.set_ylim(0, 1)
        axes.set_title(f"Chosen by {who} ({study['choices']:,} choices)", fontsize=10)
        axes.set_ylabel("share of choices", fontsize=9)
    return save_figure(canvas, path)


def distributions_figure(judge: str, rows: Sequence[ScoreRow], path: Path) -> Path:
    """Empirical CDFs of one judge's scores from 1 to 5, a panel a criterion.

    A curve further to the right is better; means hide where two curves cross.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["score"] is not None:
            found.setdefault(row["criterion"], {}).setdefault(row["voice"], []).append(row["score"])
    canvas = empty_figure(2.9 * len(found), 3.4)
    for axes, (name, variants) in zip(canvas.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for variant in ordered_variants([variants]):
            axes.ecdf(variants[variant], color=COLOURS[variant], label=TITLES[variant], linewidth=1.6)
        axes.set_xlim(1, 5)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("score up to", fontsize=9)
    every = canvas.axes
    every[0].set_ylabel("share of replies", fontsize=9)
    every[0].legend(fontsize=8, frameon=False)
    canvas.suptitle(f"Scores by {judge}", fontsize=11)
    return save_figure(canvas, path)


def ordered_variants(parts: Any) -> list[str]:
    """Variants that any of some mappings has, in the order of TITLES."""
    there = {variant for part in parts for variant in part}
    return [variant for variant in TITLES if variant in there]


def bar(axes: Any, where: float, estimate: Facts, variant: str, form: str, width: float = 0.65) -> None:
    """Bar of one variant with its error bar and value."""
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    axes.bar(where, value, color=COLOURS[variant], width=width)
    ends = [[max(0.0, value - low)], [max(0.0, high - value)]]  # a bootstrap's may lie on one side of the value
    axes.errorbar(where, value, ends, color="#222222", capsize=4, linewidth=1)
    axes.annotate(form.format(value), (where, high), (0, 4), textcoords="offset points", ha="center", fontsize=9)
