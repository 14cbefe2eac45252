"""What a reader of the dataset's card wants to know of its pairs: shares, lengths, and a figure of them.

Everything is counted batch by batch: how many pairs, or films, of a genre; how many lines of each number of words. From
such counts quantiles are exact, whatever the size of the dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from training.data.corpus.assemble import Corpus, Film
from training.data.splits import SPLIT_NAMES
from training.data.windows import Windows

Shares = dict[str, dict[str, float]]  # by value (a genre, a decade) and split
QUANTILES = {"5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "99%": 0.99, "longest": 1.0}


@dataclass
class FilmTraits:
    """Rows of each split, pairs or films, by genre and by decade of their film."""

    rows: Counter[str] = field(default_factory=Counter)  # by split
    genre: dict[str, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLIT_NAMES})
    decade: dict[str, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLIT_NAMES})

    def add(self, split: str, films: Iterable[tuple[Film, int]]) -> None:
        """Counts rows of films, in the order in which they first appear."""
        for film, rows in films:
            self.rows[split] += rows
            for genre in film.genres:
                self.genre[split][genre] += rows
            if film.year is not None:
                self.decade[split][f"{film.year // 10 * 10}s"] += rows


@dataclass
class Lengths:
    """How many have each length: place i of a count is for length i."""

    prompt: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # words of the line to answer
    completion: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # words of the reply
    turns: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # lines of a conversation

    def add(self, corpus: Corpus, windows: Windows, copies: np.ndarray, talks: np.ndarray) -> None:
        """Counts pairs, each as often as it is taken, and conversations (places of those that are kept)."""
        words = pc.add(pc.count_substring(corpus.lines["text"], " "), 1).to_numpy()
        self.prompt = summed(self.prompt, np.bincount(words[windows.reply - 1], copies))
        self.completion = summed(self.completion, np.bincount(words[windows.reply], copies))
        self.turns = summed(self.turns, np.bincount(np.diff(corpus.starts)[talks]))

    def quantiles(self) -> dict[str, dict[str, int]]:
        """Quantiles of the words in the line to answer and in the reply, over all splits."""
        return {
            title: {name: int(count_quantile(counts, share)) for name, share in QUANTILES.items()}
            for title, counts in (("line to answer", self.prompt), ("reply", self.completion))
        }

    def as_lists(self) -> dict[str, list[int]]:
        """The counts by name, for a file of JSON."""
        return {name: counts.tolist() for name, counts in vars(self).items()}


def lengths_from_lists(lists: dict[str, list[int]]) -> Lengths:
    """Reads `Lengths.as_lists`."""
    return Lengths(**{name: np.array(counts, dtype=np.int64) for name, counts in lists.items()})


def summed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sum of two counts by length."""
    total = np.zeros(max(len(one), len(other)), dtype=np.int64)
    total[: len(one)] += one
    total[: len(other)] += other.astype(np.int64)
    return total


def count_quantile(counts: np.ndarray, share: float) -> float:
    """Quantile of lengths by how many have each, between two neighbours by their distance, as np.quantile has it."""
    until = np.cumsum(counts)
    place = share * (until[-1] - 1)
    low, high = np.searchsorted(until, [np.floor(place), np.ceil(place)], side="right")
    return float(low + (high - low) * (place - np.floor(place)))


def first_films(corpus: Corpus, film_of_rows: np.ndarray, copies: np.ndarray) -> list[tuple[Film, int]]:
    """The films of rows, in the order in which they first appear, and how many copies of rows each has."""
    totals = np.bincount(film_of_rows, copies, minlength=len(corpus.films)).astype(np.int64).tolist()
    used, first = np.unique(film_of_rows, return_index=True)
    return [(corpus.films[film], totals[film]) for film in used[np.argsort(first)].tolist()]


def shares(counts: dict[str, Counter[str]], rows: Counter[str]) -> Shares:
    """Share of each split's rows that have a value, most common in train first; a film has several genres."""
    found: Shares = {}
    for split, of_split in counts.items():
        for value, count in of_split.items():
            found.setdefault(value, dict.fromkeys(counts, 0.0))[split] = count / rows[split]
    return dict(sorted(found.items(), key=lambda item: -item[1]["train"]))


def widest(found: Shares) -> float:
    """The largest difference between two splits in any share, in percentage points; 0 without any."""
    return max((100 * (max(by.values()) - min(by.values())) for by in found.values()), default=0.0)


def balance(films: FilmTraits, pairs: FilmTraits) -> tuple[dict[str, Shares], dict[str, dict[str, float]]]:
    """Shares of films by genre and decade, and how far those of two splits differ at most, of films and of pairs."""
    of_films = {name: shares(getattr(films, name), films.rows) for name in ("genre", "decade")}
    of_pairs = {name: shares(getattr(pairs, name), pairs.rows) for name in of_films}
    return of_films, {name: {"films": widest(of_films[name]), "pairs": widest(of_pairs[name])} for name in of_films}


def draw_lengths(lengths: Lengths, path: Path) -> Path:
    """Draws how long lines, replies and conversations are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2)
    edges = np.arange(0.5, 61.5)
    for counts, label, style in (
        (lengths.prompt, "line to answer", "step"),
        (lengths.completion, "reply", "stepfilled"),
    ):
        left.hist(
            **capped(counts, 60), bins=edges, histtype=style, label=label,
            color={"step": "#1d3557", "stepfilled": "#e9a23b"}[style], alpha=0.9, zorder=2 if style == "step" else 1,
        )  # fmt: skip
    left.set(xlabel="words (60 and more in the last bar)", ylabel="pairs", xlim=(0, 61))
    left.legend(frameon=False)
    right.hist(**capped(lengths.turns, 20), bins=np.arange(1.5, 21.5), color="#457b9d")
    right.set_xticks([2, 5, 10, 15, 20])
    right.set(xlabel="lines of a conversation (20 and more in the last bar)", ylabel="conversations", xlim=(1, 21))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, metadata={"Software": None})
    return path


def capped(counts: np.ndarray, most: int) -> dict[str, Any]:
    """Lengths up to `most`, longer ones as `most`, and how many have each: `x` and `weights` of a histogram."""
    until = np.zeros(most + 1)
    np.add.at(until, np.minimum(np.arange(len(counts)), most), counts)
    return {"x": np.arange(most + 1), "weights": until}
