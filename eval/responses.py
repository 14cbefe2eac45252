"""Held-out prompts, and what each variant answers to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chat.generate import Reply
from chat.resumable import generate_resumable
from chat.sampling import Sampling
from chat.variants import ModelVariants
from hub.errors import UserError
from hub.lineage import Input

Row = dict[str, Any]


def held_out(dataset: Input, prompts: int, per_film: int, seed: int) -> list[Row]:
    """Draws pairs of the test split; fewer where it has not that many.

    Raises UserError where it has none.
    """
    from datasets import load_dataset

    if "test" not in splits(dataset):
        raise UserError(f"{dataset.repo}@{dataset.revision} has no split `test`; prepare it with training.prepare")
    pairs = load_dataset(dataset.repo, "pairs", split="test", revision=dataset.revision)
    drawn = [pairs[index] for index in draw(list(pairs["movie_id"]), prompts, per_film, seed)]
    if not drawn:
        raise UserError(f"{dataset.repo} has no test pairs; prepare it from more films")
    return drawn


def splits(dataset: Input) -> list[str]:
    from datasets import get_dataset_split_names

    return list(get_dataset_split_names(dataset.repo, "pairs", revision=dataset.revision))


def train_lines(dataset: Input) -> list[str]:
    """Every line of the train pairs, prompts' and replies', once each; none where the dataset has no such split."""
    from datasets import load_dataset

    if "train" not in splits(dataset):
        return []
    pairs = load_dataset(dataset.repo, "pairs", split="train", revision=dataset.revision)
    turns = (turn for column in ("prompt", "completion") for messages in pairs[column] for turn in messages)
    return list(dict.fromkeys(turn["content"] for turn in turns if turn["role"] != "system"))


def draw(films: Sequence[str], count: int, per_film: int, seed: int) -> list[int]:
    """Draws up to `count` places by seed, at most `per_film` of one film: no long script outweighs the rest."""
    order = list(range(len(films)))
    random.Random(seed).shuffle(order)
    taken: Counter[str] = Counter()
    drawn: list[int] = []
    for index in order:
        if len(drawn) == count:
            break
        if taken[films[index]] < per_film:
            taken[films[index]] += 1
            drawn.append(index)
    return drawn


def respond(
    variants: ModelVariants, rows: list[Row], sampling: Sampling, seed: int, folder: Path
) -> dict[str, list[Reply]]:
    """Answers every prompt by every variant, all with the same seeds.

    Finished chunks are kept in `folder`, so that a killed run carries on and ends with the replies of an unbroken one.
    """
    prompts = [row["prompt"] for row in rows]
    return {
        name: generate_resumable(folder / f"{name}.jsonl", variants, prompts, [name] * len(prompts), sampling, seed)
        for name in variants.names
    }
