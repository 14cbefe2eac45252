"""Plots of an evaluation as PNG; `hub.results_table` has the numbers as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.geval.summary import group_scores
from eval.rows import ScoreRow
from hub.results_table import ROWS, TITLES, scale_of
from stats.clustered import MIN_CLUSTERS, too_few
from stats.plots import empty_figure, save_figure

COLOURS = {
    "base": "#8a8a8a",
    "sft": "#0072b2",
    "dpo": "#d55e00",
    "rl": "#009e73",
    "film": "#56b4e9",
    "shuffled": "#cc79a7",
}
"""The colours of Okabe and Ito, which the colour-blind tell apart; controls have lines of their own besides."""
LINES = {"film": "--", "shuffled": ":"}
PANELS = ("text_nats_per_byte", "hits_pmi", "stop_rate", "distinct_2_equal")
Facts = Mapping[str, Any]


def metrics_figure(results: dict[str, Any], path: Path) -> Path:
    """Bar charts of the metrics in PANELS with 95% intervals, a panel each; returns the PNG's path."""
    variants, n = ordered_variants([results["voices"]]), results["candidates"]
    canvas = empty_figure(11, 3.6)
    for axes, key in zip(canvas.subplots(1, len(PANELS)), PANELS, strict=True):
        for place, name in enumerate(variants):
            if results["voices"][name].get(key) is not None:  # evaluations of before have no equal budget
                bar(axes, place, results["voices"][name][key], name, ROWS[key].form)
        axes.set_xticks(range(len(variants)), [TITLES[name] for name in variants])
        axes.set_title(ROWS[key].title.format(n=n).replace("`", ""), fontsize=10)
        axes.set_ylabel(ROWS[key].axis, fontsize=9)
        axes.margins(y=0.15)
        if key == "hits_pmi":
            axes.axhline(1 / n, color="#222222", linewidth=1, linestyle=":")
    canvas.suptitle(
        f"Base, fine-tuned and DPO on {results['prompts']:,} prompts of unseen films{interval_note(results)}",
        fontsize=11,
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
        scales = sorted({scale_of(judge, name) for name in criteria})
        low, high = min(low for low, _ in scales), max(high for _, high in scales)
        axes.set_ylim(low, high + 0.08 * (high - low))
        axes.set_title(f"G-Eval by {judge['judge']}", fontsize=10)
        axes.set_ylabel("mean score, " + " or ".join(f"{low} to {high}" for low, high in scales), fontsize=9)
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


def distributions_figure(judge: Facts, rows: Sequence[ScoreRow], path: Path) -> Path:
    """Empirical CDFs of one judge's scores, a panel a criterion.

    A curve further to the right is better; means hide where two curves cross.
    """
    found = scores_by_criterion(rows)
    canvas, panels = criterion_panels(judge, found, 2.3)
    for axes, variants in zip(panels, found.values(), strict=True):
        for variant in ordered_variants([variants]):
            style = {"color": COLOURS[variant], "linestyle": LINES.get(variant, "-"), "linewidth": 1.8}
            axes.ecdf(variants[variant], label=TITLES[variant], **style)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("share up to", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=10, frameon=False)
    canvas.suptitle(f"Scores by {judge['judge']}", fontsize=11)
    return save_figure(canvas, path)


def boxes_figure(judge: Facts, rows: Sequence[ScoreRow], path: Path) -> Path:
    """Box plots of one judge's scores, a panel a criterion, a box a variant, as in Figure 2 of the original work.

    A box has the quartiles and the median, whiskers the 5% and 95% quantiles, a diamond the mean.
    """
    found = scores_by_criterion(rows)
    order = ordered_variants(found.values())[::-1]  # the first at the top
    canvas, panels = criterion_panels(judge, found, 0.9 + 0.34 * len(order))
    for axes, variants in zip(panels, found.values(), strict=True):
        drawn = axes.boxplot(
            [variants.get(variant, []) for variant in order],
            orientation="horizontal",
            whis=(5, 95),
            widths=0.6,
            showfliers=False,
            showmeans=True,
            patch_artist=True,
            medianprops={"color": "#000000", "linewidth": 1.8},
            meanprops={"marker": "D", "markerfacecolor": "#ffffff", "markeredgecolor": "#000000", "markersize": 5},
        )
        for box, variant in zip(drawn["boxes"], order, strict=True):
            box.set(facecolor=COLOURS[variant], alpha=0.75)
        axes.set_yticks(range(1, len(order) + 1), [TITLES[variant] for variant in order], fontsize=10)
    canvas.suptitle(f"Scores by {judge['judge']}: quartiles, 5% to 95%, mean (diamond)", fontsize=11)
    return save_figure(canvas, path)


def criterion_panels(judge: Facts, criteria: Sequence[str] | Facts, height: float) -> tuple[Any, list[Any]]:
    """Figure of two panels a row, one for each criterion, over its scale: readable on a page of 700 pixels."""
    down = (len(criteria) + 1) // 2
    canvas = empty_figure(7, 0.7 + down * height)
    every = list(canvas.subplots(down, 2, squeeze=False, sharey=True).flat)
    for axes, name in zip(every, criteria, strict=False):
        low, high = scale_of(judge, name)
        axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        axes.set_title(name, fontsize=11)
        axes.grid(axis="x", color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
    for axes in every[len(criteria) :]:
        axes.set_axis_off()
    return canvas, every[: len(criteria)]


def scores_by_criterion(rows: Sequence[ScoreRow]) -> dict[str, dict[str, list[float]]]:
    """Scores by criterion and variant, without what is unscored."""
    return {
        name: {variant: list(scores.values()) for variant, scores in variants.items()}
        for name, variants in group_scores(rows).items()
    }


def ordered_variants(parts: Any) -> list[str]:
    """Variants that any of some mappings has, in the order of TITLES."""
    there = {variant for part in parts for variant in part}
    return [variant for variant in TITLES if variant in there]


def interval_note(results: Mapping[str, Any]) -> str:
    """Note on the error bars of a figure, or on why there are none."""
    films = results.get("films", MIN_CLUSTERS)
    return f" ({too_few(films)} for intervals)" if films < MIN_CLUSTERS else ", with 95% intervals"


def bar(axes: Any, where: float, estimate: Facts | float, variant: str, form: str, width: float = 0.65) -> None:
    """Bar of one variant with its value, and with its error bar where it has an interval."""
    whole: Facts = estimate if isinstance(estimate, Mapping) else {"value": estimate}
    value, low, high = whole["value"], whole.get("low"), whole.get("high")
    axes.bar(where, value, color=COLOURS[variant], width=width)
    top = value if high is None else max(value, high)
    if low is not None:
        ends = [[max(0.0, value - low)], [top - value]]  # skewed films may leave the value outside
        axes.errorbar(where, value, ends, color="#222222", capsize=4, linewidth=1)
    axes.annotate(form.format(value), (where, top), (0, 4), textcoords="offset points", ha="center", fontsize=9)
