"""Held-out prompts, and what each voice answers to them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from chat.bulk import generate_to
from chat.generate import Reply
from chat.sampling import Sampling
from chat.voices import Voices
from hub.lineage import Input

Row = dict[str, Any]


def held_out(dataset: Input, prompts: int, per_film: int, seed: int) -> list[Row]:
    """Draws test pairs by seed, at most `per_film` from one film; fewer where the split has not that many."""
    from datasets import load_dataset

    rows = load_dataset(dataset.repo, "pairs", split="test", revision=dataset.revision)
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    films: Counter[str] = Counter()
    drawn: list[Row] = []
    movies = rows["movie_id"]
    for index in order:
        if films[movies[index]] < per_film:
            films[movies[index]] += 1
            drawn.append(rows[index])
        if len(drawn) == prompts:
            break
    return drawn


def respond(voices: Voices, rows: list[Row], sampling: Sampling, seed: int, folder: Path) -> dict[str, list[Reply]]:
    """Answers every prompt by every voice; finished chunks are kept in `folder`, so a killed run carries on."""
    prompts = [row["prompt"] for row in rows]
    return {
        name: generate_to(folder / f"{name}.jsonl", voices, prompts, [name] * len(prompts), sampling, seed)
        for name in voices.names
    }
