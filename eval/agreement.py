"""Correlation of a judge's scores with people's: `python -m eval.agreement FILE` qualifies a judge before it is used.

FILE has one JSON object a line, or is a table (CSV) with these columns: `item` (the prompt), `system` (who answered),
`criterion`, `human`, `judge`. Printed for each criterion are Pearson's r, Spearman's rho and Kendall's tau-b between
the two scores

- by response: over all of them;
- by item: over the systems within each item, averaged over items, as SummEval and G-Eval report it;
- by system: over the systems' means,

each with the 95% interval of a bootstrap over items. An item or a resample in which a score does not vary has no
correlation: it is left out, and counted.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.spreadsheet import read_sheet_rows
from hub.errors import UserError, one_line_errors
from stats.intervals import Estimate

MEASURES = ("pearson", "spearman", "kendall")
LEVELS = ("response", "item", "system")
COLUMNS_OF_SCORES = ("item", "system", "criterion", "human", "judge")


class PairedScore(NamedTuple):
    """Scores of one response by people and by a judge."""

    item: str
    system: str
    human: float
    judge: float


class Correlation(NamedTuple):
    """Correlation with its bootstrap interval."""

    estimate: Estimate
    undefined: int
    """How many items had no correlation; of the other levels 1 where it is not defined."""


def correlate(scores: Sequence[PairedScore], measure: str, level: str) -> tuple[float, int]:
    """Correlation of the two scores at a level, and how many were undefined; NaN where all were."""
    every = np.arange(len(scores))
    if level != "item":
        value = correlation_of_rows(scores, measure, level)(every)
        return value, int(math.isnan(value))
    values = correlation_by_item(scores, measure)
    return mean_of_defined(values), int(np.isnan(values).sum())


def correlation_of_rows(scores: Sequence[PairedScore], measure: str, level: str) -> Callable[[np.ndarray], float]:
    """Correlation as a function of row indices, (rows,): over those rows, or over the means of their systems."""
    both = np.array([(score.human, score.judge) for score in scores])
    system = np.unique([score.system for score in scores], return_inverse=True)[1]

    def found(rows: np.ndarray) -> float:
        taken = both[rows]
        if level == "system":
            sizes = np.bincount(system[rows])
            sums = [np.bincount(system[rows], column)[sizes > 0] for column in taken.T]
            means = np.transpose(sums) / sizes[sizes > 0, None]
            scale = np.abs(means).max(axis=0)
            taken = np.round(means / np.where(scale > 0, scale, 1), 12)  # equal means are ties, however summed
        return correlation(measure, *taken.T)

    return found


def correlation_by_item(scores: Sequence[PairedScore], measure: str) -> np.ndarray:
    """Correlation within each item, (items,); NaN where there is none."""
    found = [
        correlation(measure, *np.transpose([(score.human, score.judge) for score in own]))
        for own in group_by_item(scores).values()
    ]
    return np.array(found)


def group_by_item(scores: Sequence[PairedScore]) -> dict[str, list[PairedScore]]:
    """Scores by item, in order of appearance."""
    groups: dict[str, list[PairedScore]] = {}
    for score in scores:
        groups.setdefault(score.item, []).append(score)
    return groups


def mean_of_defined(values: np.ndarray) -> float:
    """Mean without NaN; NaN where nothing is left."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def correlation(measure: str, human: np.ndarray, judge: np.ndarray) -> float:
    """Pearson's r, Spearman's rho or Kendall's tau-b by scipy; NaN where a score does not vary."""
    from scipy import stats

    if len(human) < 2 or np.ptp(human) == 0 or np.ptp(judge) == 0:
        return math.nan
    function = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[measure]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(human, judge).statistic)


def bootstrap_correlation(
    scores: Sequence[PairedScore], measure: str, level: str, seed: int = 0, resamples: int = 500
) -> Correlation:
    """Cluster bootstrap of `correlate`, with items as the clusters and the percentile interval."""
    value, undefined = correlate(scores, measure, level)
    rng = np.random.default_rng(seed)
    if level == "item":
        values = correlation_by_item(scores, measure)
        drawn = [mean_of_defined(values[rng.integers(0, len(values), len(values))]) for _ in range(resamples)]
    else:
        item = np.unique([score.item for score in scores], return_inverse=True)[1]
        rows = np.split(np.argsort(item, kind="stable"), np.cumsum(np.bincount(item))[:-1])
        found = correlation_of_rows(scores, measure, level)
        drawn = [
            found(np.concatenate([rows[index] for index in rng.integers(0, len(rows), len(rows))]))
            for _ in range(resamples)
        ]
    known = [one for one in drawn if not math.isnan(one)]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (math.nan, math.nan)
    return Correlation(Estimate(value, float(low), float(high)), undefined)


def read_score_file(path: Path) -> dict[str, list[PairedScore]]:
    """Scores by criterion, from lines of JSON or a table. Raises UserError where it is neither."""
    what = "file of scores, neither JSON objects a line nor a table"
    return scores_of(read_sheet_rows(path, COLUMNS_OF_SCORES, what, ("human", "judge")))


def scores_of(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, list[PairedScore]]:
    """Scores by criterion, from numbered rows. Raises UserError where one is no score, or there is none."""
    found: dict[str, list[PairedScore]] = {}
    for number, row in rows:
        try:
            score = PairedScore(str(row["item"]), str(row["system"]), float(row["human"]), float(row["judge"]))
            if not (math.isfinite(score.human) and math.isfinite(score.judge)):
                raise ValueError("a score is no finite number")
            found.setdefault(str(row["criterion"]), []).append(score)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"line {number} has no item, system, criterion, human and judge ({error!r}); leave out what is unscored"
            ) from error
    if not found:
        raise UserError("no scores in it; write one JSON object a line")
    return found


def correlation_table(
    scores: dict[str, list[PairedScore]],
    seed: int = 0,
    measures: Sequence[str] = MEASURES,
    levels: Sequence[str] = LEVELS,
    resamples: int = 500,
) -> str:
    """Markdown table of correlations with their intervals."""
    lines = ["| criterion | by | n | " + " | ".join(measures) + " |", "|---|---|---:|" + "---:|" * len(measures)]
    for criterion, own in scores.items():
        sizes = {"response": len(own), "item": len({s.item for s in own}), "system": len({s.system for s in own})}
        for level in levels:
            found = [bootstrap_correlation(own, measure, level, seed, resamples) for measure in measures]
            size = f"{sizes[level]:,}" + (f" ({found[0].undefined:,} undefined)" if found[0].undefined else "")
            cells = " | ".join(f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e, _ in found)
            lines.append(f"| {criterion} | {level} | {size} | {cells} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the correlations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="one JSON object a line, or a CSV table")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        print(correlation_table(read_score_file(arguments.file), arguments.seed))


if __name__ == "__main__":
    main()
