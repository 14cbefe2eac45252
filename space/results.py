"""Published evaluation results and licences of the models, for the Results and About tabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chat.variants import ModelRef
from hub.errors import explain
from hub.lineage import Lineage, fetch_lineage, unchanged
from hub.names import Names
from hub.results_table import TITLES, fetch_results, metric_rows, table
from space.conversation import VARIANT_LABELS
from space.script_page import Bar, panel

REPORT_PAGE = "report/report.html"
MAX_PANELS = 8  # of the first figures; the table has them all


@dataclass(frozen=True)
class PublishedResults:
    """The evaluation of the models, or why there is none to show."""

    text: str
    """Markdown."""
    panels: str = ""
    """HTML: one panel a figure, in the page's own colours and at any width."""


@dataclass(frozen=True)
class ModelFacts:
    """The models that answer and their licences, as their cards name them, by variant."""

    refs: Mapping[str, ModelRef]
    """Hub id and full commit."""
    licences: Mapping[str, str]


def find_results(names: Names, revisions: Mapping[str, str]) -> PublishedResults:
    """Looks for the evaluation on the Hub. Never raises for what the Hub does or has not: the page says so instead."""
    from huggingface_hub import constants, list_repo_files

    repo = names.evaluation
    try:
        found = fetch_lineage(repo, "dataset")
        if found is None:
            return PublishedResults(
                f"No evaluation of these models is published yet: there is no dataset `{repo}` on the Hub."
            )
        sha, lineage = found
        results = fetch_results(repo, sha)
        results_table, panels = table(results), panels_of(results)
        there = list_repo_files(repo, repo_type="dataset", revision=sha)
    except Exception as error:  # a page without its figures is better than no page
        reason = explain(error) or f"it cannot be read: {type(error).__name__}"
        return PublishedResults(f"The evaluation `{repo}` cannot be shown: {reason}.")
    files = f"{constants.ENDPOINT}/datasets/{repo}"
    source = f"From [{repo} @ {sha[:7]}]({files}/tree/{sha}), 95% intervals in brackets."
    if REPORT_PAGE in there:
        source += f" [The whole report]({files}/resolve/{sha}/{REPORT_PAGE}), with examples, is one page to download."
    return PublishedResults(f"{measured_on(lineage, revisions)}\n\n{results_table}\n\n{source}", panels)


def panels_of(results: Mapping[str, Any]) -> str:
    """The first figures as bars with their 95% intervals, one panel each."""
    return "".join(
        panel(
            row.title.replace("`", ""),
            [
                Bar(TITLES.get(name, name), one["value"], one["low"], one["high"], with_interval(row.form, one))
                for name, one in row.values.items()
            ],
            row.note,
        )
        for row in metric_rows(dict(results))[:MAX_PANELS]
    )


def with_interval(form: str, estimate: Mapping[str, float]) -> str:
    """A figure and its interval, in the figure's own form."""
    value, low, high = (form.format(estimate[end]) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def measured_on(lineage: Lineage, revisions: Mapping[str, str]) -> str:
    """Whether the figures are of the very models that answer here; a commit of a model's card makes no other model."""
    models = [source for source in lineage.inputs if source.type == "model"]
    others = [
        VARIANT_LABELS[variant]
        for variant, revision in revisions.items()
        if not any(unchanged(source, revision) for source in models)
    ]
    if not others:
        return "Measured on the very models that answer here, on films that no stage of the training had seen."
    return f"**Measured on other commits than those that answer here** ({', '.join(others)})."


def licence(model: ModelRef) -> str:
    """The licence that a model's card names, or that it names none."""
    from huggingface_hub import HfApi

    try:
        data = HfApi().model_info(model.repo, revision=model.revision).card_data
    except Exception:  # as above; it is a line of the About tab
        return "see its card"
    given = data.to_dict() if data else {}
    return str(given.get("license_name") or given.get("license") or "none named in its card")
