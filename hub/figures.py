"""The figures of a published evaluation as a table: for its card, for the models' cards, for the page."""

from __future__ import annotations

from typing import Any, NamedTuple

TITLES = {"base": "base", "sft": "fine-tuned", "dpo": "DPO", "rl": "RL"}


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


def table(results: dict[str, Any]) -> str:
    """The figures of `results.json` as a markdown table, one column a voice, 95% intervals in brackets."""
    voices = {name: results["voices"][name] for name in TITLES if name in results["voices"]}
    n = results["candidates"]
    lines = [
        f"| {results['prompts']:,} test prompts | " + " | ".join(TITLES[name] for name in voices) + " |",
        "|---|" + "---:|" * len(voices),
    ]
    for key, shown in ROWS.items():
        title = f"{shown.title} ({shown.note})" if shown.note else shown.title
        cells = [cell(figures[key], shown.form) for figures in voices.values()]
        told = title.format(n=n, chance=1 / n).replace("|", "\\|")  # a bar would end the cell, even within code
        lines.append("| " + " | ".join([told, *cells]) + " |")
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
