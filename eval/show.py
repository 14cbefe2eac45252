"""The figures of an evaluation for a reader: a markdown table and a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

TITLES = {"base": "base", "sft": "fine-tuned", "dpo": "DPO", "rl": "RL"}
COLOURS = {"base": "#9a9a9a", "sft": "#3b78b5", "dpo": "#c2542d", "rl": "#5a8f4e"}


class Shown(NamedTuple):
    """How one figure is shown; `{n}` stands for the number of candidates."""

    title: str
    form: str
    note: str = ""
    axis: str = ""


ROWS = {
    "perplexity": Shown("Reply perplexity", "{:.1f}", "per token, lower is better", "perplexity per token"),
    "nats_per_byte": Shown("Reply loss", "{:.3f}", "nats per byte, lower is better"),
    "hits_pmi": Shown("Hits@1/{n} by PMI", "{:.1%}", "chance is {chance:.1%}", "share of prompts (dotted: chance)"),
    "hits_likelihood": Shown("Hits@1/{n} by likelihood", "{:.1%}", "chance is {chance:.1%}"),
    "stop_rate": Shown("Ended by `<|im_end|>`", "{:.1%}", "", "share of replies"),
    "endoftext_rate": Shown("Ended by `<|endoftext|>`", "{:.1%}"),
    "distinct_1": Shown("Distinct-1", "{:.3f}"),
    "distinct_2": Shown("Distinct-2", "{:.3f}", "", "distinct share of word pairs"),
    "words_10": Shown("Words, 10% quantile", "{:.0f}"),
    "words_50": Shown("Words, median", "{:.0f}"),
    "words_90": Shown("Words, 90% quantile", "{:.0f}"),
}
PANELS = ("perplexity", "hits_pmi", "stop_rate", "distinct_2")


def table(results: dict[str, Any]) -> str:
    """The figures of `results.json` as a markdown table, one column a voice, 95% intervals in brackets."""
    voices, n = results["voices"], results["candidates"]
    lines = [
        f"| {results['prompts']:,} test prompts | " + " | ".join(TITLES[name] for name in voices) + " |",
        "|---|" + "---:|" * len(voices),
    ]
    for key, shown in ROWS.items():
        title = f"{shown.title} ({shown.note})" if shown.note else shown.title
        cells = [cell(figures[key], shown.form) for figures in voices.values()]
        lines.append("| " + " | ".join([title.format(n=n, chance=1 / n), *cells]) + " |")
    for pair, preferred in results["preferred"].items():
        first, second = (TITLES[name] for name in pair.split(" over "))
        lines.append(
            f"\n{first} preferred to {second} by {results['judge']}: {cell(preferred['rate'], '{:.1%}')}, "
            f"ties ({preferred['ties']:.1%}) counted as half"
        )
    return "\n".join(lines)


def shown(results: dict[str, Any], voice: str) -> dict[str, float]:
    """The figures of one voice as plain numbers, by the names that the table gives them."""
    n, figures = results["candidates"], results["voices"][voice]
    return {
        row.title.format(n=n).replace("`", ""): float(value["value"] if isinstance(value, dict) else value)
        for key, row in ROWS.items()
        for value in [figures[key]]
    }


def cell(value: Any, form: str) -> str:
    if isinstance(value, dict):
        return f"{form.format(value['value'])} ({form.format(value['low'])} to {form.format(value['high'])})"
    return form.format(value)


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
