"""AlpacaEval 2's published win rates, raw and length-controlled, from its judge's recorded preferences."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.recorded_figure import Figure, read_recorded
from eval.report.controls import RIDGE, Columns, at_equal, fit_preferences
from stats.clustered import clustered_mean

JUDGE = "weighted_alpaca_eval_gpt4_turbo"
LEADERBOARD = f"src/alpaca_eval/leaderboards/data_AlpacaEval_2/{JUDGE}_leaderboard.csv"
WEIGHTS = f"src/alpaca_eval/metrics/weights/{JUDGE}/length_controlled_v1/baseline_gpt4_1106_preview.csv"
SHOWN = ("NullModel", "FuseChat-Gemma-2-9B-Instruct", "Mixtral-8x7B-Instruct-v0.1_concise", "Qwen-14B-Chat")
GAMED = "gpt4_gamed"
"""Truncates its answers: hardly any is as long as the baseline's."""


class Recorded(NamedTuple):
    """A model against the baseline, instruction by instruction."""

    wins: Columns
    """1 for the model, 0 for the baseline, .5 for a draw, or between; NaN where the judge did not say."""
    longer: Columns
    """Characters that its answers have more than the baseline's."""

    @property
    def length(self) -> Columns:
        """Length as a covariate: tanh of the difference in standard deviations (Dubois et al., 2024)."""
        return np.asarray(np.tanh(self.longer / self.longer.std()))


def alpaca_figures(source: Path) -> Iterator[Figure]:
    """Win rates of AlpacaEval 2 over its baseline, from the judge's recorded preferences."""
    leaderboard = published(source, LEADERBOARD)
    for model in SHOWN:
        rows = read_rows(source, model)
        yield Figure(f"AlpacaEval 2, {model}, win rate in %", leaderboard[model]["win_rate"], alpaca_win_rate(rows), 4)


def length_controlled_figures(source: Path) -> Iterator[Figure]:
    """Length-controlled win rates as published, against two logistic fits by `eval.report.controls`.

    The one of our reports has the difference in length alone. The published one also has the difficulty of each
    instruction, and is pulled to the baseline's own slope for length: with the difficulty ours is near it where lengths
    overlap, and neither is to be believed where they do not.
    """
    leaderboard, every = published(source, LEADERBOARD), dict(read_all(source))
    slopes = published(source, WEIGHTS)
    for model in (*SHOWN, GAMED):
        recorded, expected = to_recorded(read_rows(source, model)), leaderboard[model]["length_controlled_winrate"]
        known = ~np.isnan(recorded.wins)
        alone = at_equal(
            recorded.wins[known].tolist(),
            {"length": recorded.longer[known].tolist()},
            [str(n) for n in range(known.sum())],
            preference=True,
        )
        beyond = ", extrapolated" if alone.extrapolated else ""
        what = f"AlpacaEval 2, {model}, win rate at equal length in %"
        yield Figure(f"{what}, length alone{beyond}", expected, 100 * alone.estimate.value, 1)
        others = {name: own for name, own in every.items() if name != model and own.wins.shape == known.shape}
        if others:
            difficulty = instruction_difficulty(others, slopes)
            got = rate_at_equal_length(recorded, difficulty)
            yield Figure(f"{what}, length and difficulty{beyond}", expected, got, 1)


def rate_at_equal_length(recorded: Recorded, difficulty: Columns) -> float:
    """Mean predicted win in percent where lengths are equal, by a logistic fit on length and difficulty."""
    design = np.column_stack([np.ones_like(difficulty), recorded.length, difficulty])
    known = ~np.isnan(recorded.wins)
    own, _, slope = fit_preferences(design[known], recorded.wins[known])
    return float(100 * probability(own + slope * difficulty).mean())


def instruction_difficulty(every: Mapping[str, Recorded], slopes: Mapping[str, Mapping[str, float]]) -> Columns:
    """Difficulty of each instruction, (instructions,): the likeliest under other models' published coefficients.

    AlpacaEval keeps its own estimate on the Hub, outside of its repository; this one never saw the model in question.
    """
    names = [name for name in every if name in slopes]
    by_length, by_difficulty, own = np.array([list(slopes[name].values()) for name in names]).T[:, :, None]
    wins = np.array([every[name].wins for name in names])
    # the published slope is of the baseline's length less the model's
    fixed = own - by_length * np.array([every[name].length for name in names])
    found = np.zeros(wins.shape[1])
    for _ in range(50):
        p = probability(fixed + by_difficulty * found)
        missed = np.where(np.isnan(wins), 0.0, wins - p)
        slope = (missed * by_difficulty).sum(0) - RIDGE * found
        found = found + np.clip(slope / ((p * (1 - p) * by_difficulty**2).sum(0) + RIDGE), -1, 1)
    return found


def probability(logits: Columns) -> Columns:
    """Logistic function of each."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


def published(source: Path, path: str) -> dict[str, dict[str, float]]:
    """A published table, its numbers by row and column."""
    numbers = {}
    for row in csv.DictReader(io.StringIO(read_recorded(source, path))):
        cells = {name: cell for name, cell in row.items() if name and cell}
        numbers[row[""]] = {name: float(cell) for name, cell in cells.items() if is_number(cell)}
    return numbers


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_rows(source: Path, model: str) -> list[dict[str, Any]]:
    """The judge's recorded preferences. Raises FileNotFoundError where they are not there."""
    rows: list[dict[str, Any]] = json.loads(read_recorded(source, f"results/{model}/{JUDGE}/annotations.json"))
    return rows


def read_all(source: Path) -> Iterator[tuple[str, Recorded]]:
    """Every model whose coefficients are published and whose preferences are there, the baseline left out."""
    for model in published(source, WEIGHTS):
        try:
            recorded = to_recorded(read_rows(source, model))
        except FileNotFoundError:
            continue
        if recorded.longer.std() > 0:
            yield model, recorded


def to_recorded(rows: Sequence[Mapping[str, Any]]) -> Recorded:
    """Preferences as wins, with the difference in length."""
    wins = [np.nan if row["preference"] is None else (float(row["preference"]) or 1.5) - 1 for row in rows]
    return Recorded(np.array(wins), np.array([float(len(row["output_2"]) - len(row["output_1"])) for row in rows]))


def alpaca_win_rate(rows: Sequence[Mapping[str, Any]]) -> float:
    """Win rate in percent: a preference is 1 for the baseline, 2 for the model, 0 for a draw, or between 1 and 2."""
    known = [float(row["preference"]) for row in rows if row["preference"] is not None]
    wins = [100 * ((preference or 1.5) - 1) for preference in known]
    return clustered_mean(wins, range(len(wins))).value
