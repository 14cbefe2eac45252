"""Metrics of a published evaluation, and as a table: for its card, for the models' cards, for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hub.comparisons import PREFERRED, comparisons
from hub.lineage import REPORT, fetch_lineage
from stats.clustered import MIN_CLUSTERS, too_few

RESULTS = f"{REPORT}results.json"

TITLES = {
    "base": "base",
    "sft": "fine-tuned",
    "dpo": "DPO",
    "rl": "RL",
    "film": "the films' own",
    "shuffled": "another film's",
}
SHOWN_BY_SOURCE = ("text_nats_per_byte", "hits_pmi")
FORMAT_TITLES = {"chat": "chat template", "plain": "plain lines"}


class MetricFormat(NamedTuple):
    """How one metric is shown; `{n}` stands for the number of candidates, `{judge}` for the pairwise judge."""

    title: str
    form: str
    note: str = ""
    axis: str = ""


ROWS = {
    "text_nats_per_byte": MetricFormat(
        "Reply loss, text alone", "{:.3f}", "nats per byte without the end, lower is better", "nats per byte of text"
    ),
    "end_nats": MetricFormat("Loss of the reply's end", "{:.2f}", "nats a reply, lower is better"),
    "hits_pmi": MetricFormat(
        "Hits@1/{n} by PMI", "{:.1%}", "chance is {chance:.1%}", "share of prompts (dotted: chance)"
    ),
    "hits_likelihood": MetricFormat("Hits@1/{n} by likelihood", "{:.1%}", "chance is {chance:.1%}"),
    "nats_per_byte": MetricFormat("Reply loss with its end", "{:.3f}", "nats per byte, lower is better"),
    "perplexity": MetricFormat("Reply perplexity", "{:.1f}", "per token with the end, lower is better"),
    "perplexity_per_byte": MetricFormat("Reply perplexity per byte", "{:.2f}", "with the end, lower is better"),
    "stop_rate": MetricFormat("Ended by `<|im_end|>`", "{:.1%}", "", "share of replies"),
    "endoftext_rate": MetricFormat("Ended by `<|endoftext|>`", "{:.1%}"),
    "empty_rate": MetricFormat("Empty replies", "{:.1%}"),
    "distinct_1_equal": MetricFormat("Distinct-1, equal budget", "{:.3f}", "of as many words from each"),
    "distinct_2_equal": MetricFormat(
        "Distinct-2, equal budget", "{:.3f}", "of as many word pairs from each", "distinct share of word pairs"
    ),
    "repeated_3": MetricFormat("Repeated word triples", "{:.1%}", "mean share within a reply"),
    "assistant_rate": MetricFormat("Assistant-speak", "{:.1%}", '"As an AI", "How may I assist you?"'),
    "explains_rate": MetricFormat("Explains or directs", "{:.1%}", 'stage directions, "this scene", "classic example"'),
    "copied": MetricFormat("Training lines, word for word", "{:.1%}", "of replies of 5 words or more"),
    "overlap": MetricFormat("Runs of 5 words that training lines have", "{:.1%}"),
    "judge_mean": MetricFormat("Judge's score, mean", "{:.2f}", "by {judge}"),
    "judge_25": MetricFormat("Judge's score, 25% quantile", "{:.2f}", "the low-score tail"),
    "judge_10": MetricFormat("Judge's score, 10% quantile", "{:.2f}"),
    "judge_5": MetricFormat("Judge's score, 5% quantile", "{:.2f}"),
    "mauve": MetricFormat("MAUVE", "{:.3f}", "likeness to the films' own replies"),
    "words_10": MetricFormat("Words, 10% quantile", "{:.0f}"),
    "words_50": MetricFormat("Words, median", "{:.0f}"),
    "words_90": MetricFormat("Words, 90% quantile", "{:.0f}"),
    "minutes": MetricFormat("Minutes of training", "{:.1f}", "behind the model before; RL's with its reward model's"),
}


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
    """Every metric there is: without a judge, then by each judge's criteria, then what people chose.

    The values of each stand in the order of TITLES, whatever the order in the file.
    """
    n = results["candidates"]
    columns = {**results["voices"], **{name: results[name] for name in ("film", "shuffled") if name in results}}
    found = []
    for key, row in ROWS.items():
        values = {variant: own[key] for variant, own in columns.items() if own.get(key) is not None}
        found.append(
            MetricRow(
                row.title.format(n=n), row.note.format(chance=1 / n, judge=results.get("judge")), row.form, values
            )
        )
    for judge in results.get("judges", []):
        for name, means in judge["means"].items():
            note = "G-Eval, {} to {}".format(*scale_of(judge, name))
            found.append(MetricRow(f"{name.capitalize()} by {judge['judge']}", note, "{:.2f}", means))
    for who, study in results.get("people", {}).items():
        found.append(MetricRow(f"Chosen by {who}", f"{study['choices']:,} choices", "{:.1%}", study["shares"]))
    return [line._replace(values=in_title_order(line.values)) for line in found if line.values]


def in_title_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by variant in the order of TITLES, any others behind."""
    return {name: values[name] for name in [*TITLES, *values] if name in values}


def scale_of(judge: Mapping[str, Any], criterion: str) -> tuple[int, int]:
    """Ends of the scale of a judge's criterion; 1 and 5 in facts from before criteria had scales of their own."""
    low, high = judge.get("criteria", {}).get(criterion, {}).get("scale", (1, 5))
    return low, high


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
    films = results.get("films", MIN_CLUSTERS)
    few = [f"\n{too_few(films)} for intervals and tests; {MIN_CLUSTERS} it takes"] if films < MIN_CLUSTERS else []
    return "\n".join([*rows, *few, *comparison_lines(results), *base_format_note(results), *source_lines(results)])


def base_format_note(results: dict[str, Any]) -> list[str]:
    """Paragraph: in which reply format the base was asked, by what, and what it reaches in either; none of before."""
    if not (found := results.get("base_formats")):
        return []
    n = results["candidates"]
    by = "without validation pairs to choose by"
    if count := found["validation_pairs"]:
        losses = (
            f"{FORMAT_TITLES[name]} {own['validation_text_nats_per_byte']:.3f}"
            for name, own in found["formats"].items()
        )
        by = f"chosen by text-only nats per byte on {count:,} validation pairs ({', '.join(losses)})"
    measured = "; ".join(
        f"{FORMAT_TITLES[name]} {format_cell(own['text_nats_per_byte'], '{:.3f}')} nats per byte of text, "
        f"{own['end_nats']['value']:.2f} nats a reply's end, Hits@1/{n} by PMI "
        f"{format_cell(own['hits_pmi'], '{:.1%}')}, ended by itself {format_cell(own['stop_rate'], '{:.1%}')}"
        for name, own in found["formats"].items()
    )
    return [f"\nThe base is asked in {FORMAT_TITLES[found['chosen']]}, {by}. On the test prompts: {measured}."]


def source_lines(results: dict[str, Any]) -> list[str]:
    """A second table: each variant on the prompts of each source alone; none where there is one source."""
    if not (found := results.get("sources")):
        return []
    names = [name for name in TITLES if name in results["voices"]]
    lines = ["\n| prompts by source | | " + " | ".join(TITLES[name] for name in names) + " |"]
    lines.append("|---|---|" + "---:|" * len(names))
    for source, own in found.items():
        title = f"{escape_bar(source)} ({own['prompts']:,} of {own['films']:,} films)"
        for key in SHOWN_BY_SOURCE:
            row = ROWS[key]
            cells = [format_cell(own["voices"][name][key], row.form) for name in names]
            lines.append(f"| {title} | {row.title.format(n=results['candidates'])} | " + " | ".join(cells) + " |")
    return lines


def comparison_lines(results: dict[str, Any]) -> list[str]:
    """Paragraphs: how far variants lie apart, whether that could be chance, and how many were tested together."""
    found = comparisons(results)
    lines = []
    for one in found:
        first, second = (TITLES[name] for name in one.pair)
        if one.key == PREFERRED:
            ties = results["preferred"][" over ".join(one.pair)]["ties"]
            subject = f"{first} preferred to {second} by {results['judge']}"
            lines.append(f"\n{subject}: {one.interval()}, ties ({ties:.1%}) counted as half, {one.chance()}")
        else:
            lines.append(f"\n{first} less {second}, {one.title}: {one.interval()}, {one.chance()}")
    tested = sum(one.p_value is not None for one in found)
    return (
        [*lines, f"\np of flipped signs of whole films, adjusted for {tested} comparisons (Holm)"] if tested else lines
    )


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
        if value["low"] is None:
            return form.format(value["value"])
        return f"{form.format(value['value'])} ({form.format(value['low'])} to {form.format(value['high'])})"
    return form.format(value)


def escape_bar(text: str) -> str:
    """Text within a cell of a markdown table."""
    return text.replace("|", "\\|")  # a bar would end the cell, even within code
