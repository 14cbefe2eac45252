"""Comparisons of variants in the results of an evaluation: the one list that cards, report, page and console show.

Holm's correction is over the whole list, so that a comparison has one p-value wherever the results are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stats.clustered import ALPHA, too_few
from stats.intervals import holm_correction

PREFERRED = "preferred"
JUDGE_KEYS = ("geval", "second_geval")
"""Of `results["judges"]`, in their order."""


class ComparisonFormat(NamedTuple):
    """How a comparison is shown; `{n}` and `{judge}` stand for the number of candidates and the judge."""

    title: str
    unit: str = ""
    form: str = "{:+.1f}"
    scale: float = 100.0
    """By what it is multiplied."""
    direction: int = 1
    """1 where more is better for the first, -1 where less is."""
    null: float = 0.0


PAIRED = {
    "hits_pmi": ComparisonFormat("Hits@1/{n} by PMI", "points"),
    "hits_likelihood": ComparisonFormat("Hits@1/{n} by likelihood", "points"),
    "text_nats_per_byte": ComparisonFormat(
        "loss on the films' replies, text alone", "nats per byte", "{:+.3f}", 1.0, -1
    ),
    "nats_per_byte": ComparisonFormat("loss on the films' replies", "nats per byte", "{:+.3f}", 1.0, -1),
    "geval": ComparisonFormat("G-Eval by {judge}", "mean score", "{:+.3f}", 1.0),
    "second_geval": ComparisonFormat("G-Eval by {judge}", "mean score", "{:+.3f}", 1.0),
    PREFERRED: ComparisonFormat("preferred by {judge}", "", "{:.1%}", 1.0, null=0.5),
    "people": ComparisonFormat("chosen by {judge}", "points"),
}
"""By key of `results["paired"]`; preferences and people's choices have keys of their own."""


class VariantComparison(NamedTuple):
    """Comparison of a first variant with a second one by one measure."""

    key: str
    title: str
    pair: tuple[str, str]
    estimate: Mapping[str, Any]
    """Value and ends, as `stats.clustered.ClusterEstimate` has them."""
    format: ComparisonFormat
    judge: str = ""
    """Who judged, where somebody did."""
    p_value: float | None = None
    """Adjusted for all comparisons of the results (Holm); None where there were too few films, or none are known."""

    @property
    def verdict(self) -> str:
        """Verdict `better` or `worse` of the first variant, `open`, or why there is none ("2 films: too few")."""
        if self.p_value is None:
            return self.chance()
        above = (self.estimate["value"] - self.format.null) * self.format.direction
        return "open" if self.p_value > ALPHA else "better" if above > 0 else "worse"

    def interval(self) -> str:
        """Value with its interval where it has one, in the unit that it is shown in."""
        return f"{format_interval(self.estimate, self.format)} {self.format.unit}".rstrip()

    def chance(self) -> str:
        """Adjusted p-value, or why there is none."""
        if self.p_value is not None:
            return f"p = {self.p_value:.4f}"
        clusters = self.estimate.get("clusters")
        unit = self.estimate.get("unit", "films")
        return "measured by an older version: evaluate again" if clusters is None else too_few(clusters, unit)


def format_interval(estimate: Mapping[str, Any], form: ComparisonFormat) -> str:
    """Value with its interval, if any, as numbers."""
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    shown = [form.form.format(form.scale * number) for number in (value, low, high) if number is not None]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(shown) == 3 else shown[0]


def comparisons(results: Mapping[str, Any]) -> list[VariantComparison]:
    """Every comparison there is: paired metrics, preferences, judges' scores, people's choices; p-values adjusted."""
    found = []
    judges = dict(zip(JUDGE_KEYS, results.get("judges", []), strict=False))
    for pair, own in results.get("paired", {}).items():
        for key, estimate in own.items():
            judge = judges[key]["judge"] if key in judges else ""
            found.append(_comparison(key, pair.split(" - "), estimate.get("difference", estimate), results, judge))
    for pair, preferred in results.get("preferred", {}).items():
        found.append(_comparison(PREFERRED, pair.split(" over "), preferred["rate"], results, results["judge"]))
    for who, study in results.get("people", {}).items():
        for pair, estimate in study["pairs"].items():
            found.append(_comparison("people", pair.split(" - "), estimate.get("difference", estimate), results, who))
    adjusted = holm_correction([one.estimate.get("p_value") for one in found])
    return [one._replace(p_value=p) for one, p in zip(found, adjusted, strict=True)]


def _comparison(
    key: str, pair: list[str], estimate: Mapping[str, Any], results: Mapping[str, Any], judge: str
) -> VariantComparison:
    form = PAIRED[key]
    title = form.title.format(n=results.get("candidates"), judge=judge)
    return VariantComparison(key, title, (pair[0], pair[1]), estimate, form, judge)
