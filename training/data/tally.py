"""What the dataset comes to: rows of every table, what each rule touched, and the statistics of its card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hub.rights import combine_rights
from training.data.batches import FILM_RUN, open_batch
from training.data.dataset_stats import FilmTraits, Lengths, balance, first_films
from training.data.judged import TABLES, ComparedBatches, Judged
from training.data.sorted_runs import digests, find_rows, firsts, found_rows, save_run
from training.data.splits import NEAR_DUPLICATE, RULES, SPLIT_NAMES, film_keys

SPLIT_FILM_RUN = "split-films.npy"


@dataclass
class Tally:
    """Counts over all batches."""

    rows: dict[tuple[str, str], list[int]] = field(default_factory=lambda: {table: [] for table in TABLES})
    """By config and split, the rows of each batch."""
    rules: np.ndarray = field(default_factory=lambda: np.zeros(len(RULES), dtype=np.int64))
    shared: int = 0
    lengths: Lengths = field(default_factory=Lengths)
    pairs: FilmTraits = field(default_factory=FilmTraits)
    films: FilmTraits = field(default_factory=FilmTraits)

    def dropped(self) -> Counter[str]:
        """How many rows each rule dropped."""
        told = [code for code in range(1, len(RULES)) if code != NEAR_DUPLICATE or self.rules[code]]
        counts = Counter({f"pairs dropped: {RULES[code]}": int(self.rules[code]) for code in told})
        counts["conversations dropped: neighbouring lines that a stricter split has"] = self.shared
        return counts

    def add(self, judged: Judged) -> None:
        """Counts a batch, and leaves the films of its pairs by split as a sorted run."""
        corpus, windows, copies = judged.batch.corpus, judged.windows, judged.copies
        for table, counts in self.rows.items():
            counts.append(len(judged.rows(*table)))
        self.rules += np.bincount(judged.rule, minlength=len(RULES))
        self.shared += int(judged.shared.sum())
        self.lengths.add(corpus, windows, copies, np.flatnonzero(~judged.shared))
        split, films = judged.batch.arrays["pair_split"], corpus.film_of[windows.talk]
        keys, names, rows = film_keys(corpus), list[str](), []
        for code, name in enumerate(SPLIT_NAMES):
            own = np.flatnonzero((split == code) & (copies > 0))
            self.pairs.add(name, first_films(corpus, films[own], copies[own]))
            used, first = np.unique(films[own], return_index=True)
            names += [f"{name} {keys[film]}" for film in used.tolist()]
            rows.append(own[first])
        places = judged.batch.about["first_pair"] + np.concatenate(rows)
        save_run(judged.batch.folder / SPLIT_FILM_RUN, digests(names), places)


def tally(comparison: ComparedBatches, range_records: int) -> Tally:
    """Counts all batches, one after the other."""
    total = Tally()
    for place in range(len(comparison.batches)):
        total.add(comparison.judged(place))
    found = comparison.folder / SPLIT_FILM_RUN
    find_rows([batch / SPLIT_FILM_RUN for batch in comparison.batches], firsts, found, range_records)
    for folder in comparison.batches:
        batch = open_batch(folder)
        first = batch.about["first_pair"]
        rows = found_rows(found, first, first + batch.about["pairs"]) - first
        films = batch.films()
        film_of = batch.arrays["film_of"][batch.windows(comparison.data).talk[rows]]
        for film, split in zip(film_of.tolist(), batch.arrays["pair_split"][rows].tolist(), strict=True):
            total.films.add(SPLIT_NAMES[split], [(films[film], 1)])
    return total


def source_facts(comparison: ComparedBatches, range_records: int) -> list[dict[str, Any]]:
    """Of each source, `counts` (what was read, cleaned and left out) and `rights`, those that its reader states."""
    found = comparison.folder / FILM_RUN
    find_rows([batch / FILM_RUN for batch in comparison.batches], firsts, found, range_records)
    facts: list[dict[str, Any]] = [{"counts": Counter(), "rights": []} for _ in comparison.sources]
    films = [0] * len(facts)
    for folder in comparison.batches:
        batch = open_batch(folder)
        source, first = batch.about["source"], batch.about["first_talk"]
        facts[source]["counts"].update(batch.counts)
        films[source] += len(found_rows(found, first, first + batch.about["talks"]))
        if batch.about["talks"] and batch.rights not in facts[source]["rights"]:
            facts[source]["rights"].append(batch.rights)
    for fact, distinct in zip(facts, films, strict=True):
        fact["counts"]["films"] = distinct
        fact["rights"] = combine_rights(fact["rights"]).as_fact()
    return facts


def card_facts(comparison: ComparedBatches, total: Tally, range_records: int) -> dict[str, Any]:
    """All that the card says of the rows, ready for a file of JSON."""
    shares, widest = balance(total.films, total.pairs)
    return {
        "sources": source_facts(comparison, range_records),
        "dropped": total.dropped(),
        "balance": shares,
        "widest": widest,
        "lengths": total.lengths.as_lists(),
    }
