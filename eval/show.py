"""The figures of an evaluation, drawn; `hub.figures` has them as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.figures import ROWS, TITLES

COLOURS = {"base": "#9a9a9a", "sft": "#3b78b5", "dpo": "#c2542d", "rl": "#5a8f4e"}
PANELS = ("perplexity", "hits_pmi", "stop_rate", "distinct_2")


def figure(results: dict[str, Any], path: Path) -> Path:
    """Draws a panel for each of PANELS with 95% intervals, into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    voices, n = results["voices"], results["candidates"]
    canvas = Figure(figsize=(11, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(canvas)
    for axes, key in zip(canvas.subplots(1, len(PANELS)), PANELS, strict=True):
        for place, (name, figures) in enumerate(voices.items()):
            value, low, high = (figures[key][end] for end in ("value", "low", "high"))
            axes.bar(place, value, color=COLOURS[name], width=0.65)
            ends = [[max(0.0, value - low)], [max(0.0, high - value)]]  # a bootstrap's may lie on one side of the value
            axes.errorbar(place, value, ends, color="#222222", capsize=4, linewidth=1)
            axes.annotate(
                ROWS[key].form.format(value), (place, high), (0, 4), textcoords="offset points", ha="center", fontsize=9
            )
        axes.set_xticks(range(len(voices)), [TITLES[name] for name in voices])
        axes.set_title(ROWS[key].title.format(n=n).replace("`", ""), fontsize=10)
        axes.set_ylabel(ROWS[key].axis, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(y=0.15)
        if key == "hits_pmi":
            axes.axhline(1 / n, color="#222222", linewidth=1, linestyle=":")
    canvas.suptitle(
        f"Base, fine-tuned and DPO on {results['prompts']:,} prompts of unseen films, with 95% intervals", fontsize=11
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=150)
    return path
