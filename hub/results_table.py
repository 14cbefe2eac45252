"""Metrics of a published evaluation, and as a table: for its card, for the models' cards, for the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from hub.lineage import REPORT, fetch_lineage

RESULTS = f"{REPORT}results.json"

TITLES = {"base": "base", "sft": "fine-tuned", "dpo": "DPO", "rl": "RL", "film": "the films' own"}


class MetricFormat(NamedTuple):
    """How one metric is shown; `{n}` stands for the number of candidates."""

    title: str
    form: str
    note: str = ""
    axis: str = ""


ROWS = {
    "perplexity": MetricFormat("Reply perplexity", "{:.1f}", "per token, lower is better", "perplexity per token"),
    "perplexity_per_byte": MetricFormat("Reply perplexity per byte", "{:.2f}", "lower is better"),
    "nats_per_byte": MetricFormat("Reply loss", "{:.3f}", "nats per byte, lower is better"),
    "text_nats_per_byte": MetricFormat("Reply loss, text alone", "{:.3f}", "nats per byte without the end token"),
    "end_nats": MetricFormat("Loss of the end token", "{:.2f}", "nats a reply"),
    "hits_pmi": MetricFormat(
        "Hits@1/{n} by PMI", "{:.1%}", "chance is {chance:.1%}", "share of prompts (dotted: chance)"
    ),
    "hits_likelihood": MetricFormat("Hits@1/{n} by likelihood", "{:.1%}", "chance is {chance:.1%}"),
    "stop_rate": MetricFormat("Ended by `<|im_end|>`", "{:.1%}", "", "share of replies"),
    "endoftext_rate": MetricFormat("Ended by `<|endoftext|>`", "{:.1%}"),
    "empty_rate": MetricFormat("Empty replies", "{:.1%}"),
    "distinct_1": MetricFormat("Distinct-1", "{:.3f}"),
    "distinct_2": MetricFormat("Distinct-2", "{:.3f}", "", "distinct share of word pairs"),
    "distinct_1_equal": MetricFormat("Distinct-1, equal budget", "{:.3f}", "of as many words from each"),
    "distinct_2_equal": MetricFormat("Distinct-2, equal budget", "{:.3f}", "of as many word pairs from each"),
    "repeated_3": MetricFormat("Repeated word triples", "{:.1%}", "mean share within a reply"),
    "assistant_rate": MetricFormat("Assistant-speak", "{:.1%}", '"As an AI", "How may I assist you?"'),
    "explains_rate": MetricFormat("Explains or directs", "{:.1%}", 'stage directions, "this scene", "classic example"'),
    "copied": MetricFormat("Training lines, word for word", "{:.1%}", "of replies of 5 words or more"),
    "overlap": MetricFormat("Runs of 5 words that training lines have", "{:.1%}"),
    "mauve": MetricFormat("MAUVE", "{:.3f}", "likeness to the films' own replies"),
    "words_10": MetricFormat("Words, 10% quantile", "{:.0f}"),
    "words_50": MetricFormat("Words, median", "{:.0f}"),
    "words_90": MetricFormat("Words, 90% quantile", "{:.0f}"),
    "minutes": MetricFormat("Minutes of training", "{:.1f}", "behind the model before; RL's with its reward model's"),
}
PAIRED = {
    "hits_pmi": ("Hits@1/{n} by PMI", "{:+.1f} points", 100),
    "hits_likelihood": ("Hits@1/{n} by likelihood", "{:+.1f} points", 100),
    "nats_per_byte": ("reply loss", "{:+.3f} nats per byte", 1),
}
"""How a difference on the same prompts is shown: its title, form, and what it is multiplied by."""


class MetricRow(NamedTuple):
    """One metric of every variant."""

    title: str
    note: str
    form: str
    values: dict[str, Any]
    """By variant; only of those that have it."""


def fetch_results(evaluation: str, revision: str) -> dict[str, Any]:
    """The metrics of an evaluation set at a commit: its report's, which hold all of them, or else its own.

    Raises UserError where it is no evaluation set.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = hf_hub_download(evaluation, RESULTS, repo_type="dataset", revision=revision)
        results: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
        return results
    except EntryNotFoundError:
        found = fetch_lineage(evaluation, "dataset", revision)
        return {name: value for name, value in (found[1].facts if found else {}).items() if name != "rights"}


def metric_rows(results: dict[str, Any]) -> list[MetricRow]:
    """Every metric there is: without a judge, then by each judge's criteria, then what people chose."""
    n = results["candidates"]
    columns = {**results["voices"], **({"film": results["film"]} if "film" in results else {})}
    found = []
    for key, row in ROWS.items():
        values = {variant: own[key] for variant, own in columns.items() if own.get(key) is not None}
        found.append(MetricRow(row.title.format(n=n), row.note.format(chance=1 / n), row.form, values))
    for judge in results.get("judges", []):
        for name, means in judge["means"].items():
            found.append(MetricRow(f"{name.capitalize()} by {judge['judge']}", "G-Eval, 1 to 5", "{:.2f}", means))
    for who, study in results.get("people", {}).items():
        found.append(MetricRow(f"Chosen by {who}", f"{study['choices']:,} choices", "{:.1%}", study["shares"]))
    return [line for line in found if line.values]


def table(results: dict[str, Any]) -> str:
    """The metrics of `results.json` as a markdown table, one column a variant, 95% intervals in brackets."""
    rows_shown = metric_rows(results)
    columns = [name for name in TITLES if any(name in line.values for line in rows_shown)]
    rows = [
        f"| {results['prompts']:,} test prompts | " + " | ".join(TITLES[name] for name in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for line in rows_shown:
        title = f"{line.title} ({line.note})" if line.note else line.title
        cells = [format_cell(line.values.get(name), line.form) for name in columns]
        rows.append("| " + " | ".join([escape_bar(title), *cells]) + " |")
    for pair, preferred in results["preferred"].items():
        first, second = (TITLES[name] for name in pair.split(" over "))
        chance = f", p = {preferred['p_value']:.4f}" if "p_value" in preferred else ""
        rows.append(
            f"\n{first} preferred to {second} by {results['judge']}: {format_cell(preferred['rate'], '{:.1%}')}, "
            f"ties ({preferred['ties']:.1%}) counted as half{chance}"
        )
    return "\n".join([*rows, *paired_differences(results)])


def paired_differences(results: dict[str, Any]) -> list[str]:
    """Paragraphs: how far variants lie apart on the same prompts, and whether that could be chance."""
    found = []
    for pair, own in results.get("paired", {}).items():
        first, second = (TITLES[name] for name in pair.split(" - "))
        phrases = []
        for key, one in own.items():
            title, form, times = PAIRED[key]
            value, low, high = (form.format(times * one["difference"][end]) for end in ("value", "low", "high"))
            brief = f"({low.split()[0]} to {high.split()[0]})"
            phrases.append(f"{title.format(n=results['candidates'])} {value} {brief}, p = {one['p_value']:.4f}")
        found.append(f"\n{first} less {second} on the same prompts: {'; '.join(phrases)}")
    return found


def variant_metrics(results: dict[str, Any], variant: str) -> dict[str, float]:
    """The metrics of one variant as plain numbers, by the names that the table gives them."""
    return {
        line.title.replace("`", ""): float(value["value"] if isinstance(value, dict) else value)
        for line in metric_rows(results)
        if (value := line.values.get(variant)) is not None
    }


def format_cell(value: Any, form: str) -> str:
    """A value, with its 95% interval where it has one; "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return f"{form.format(value['value'])} ({form.format(value['low'])} to {form.format(value['high'])})"
    return form.format(value)


def escape_bar(text: str) -> str:
    """Text within a cell of a markdown table."""
    return text.replace("|", "\\|")  # a bar would end the cell, even within code
