"""Sampling of held-out prompts, and of what each variant answers to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chat.generate import Reply
from chat.resumable import generate_resumable
from chat.sampling import Sampling
from chat.variants import ModelVariants
from eval.rows import DialoguePair
from hub.errors import UserError
from hub.lineage import Input


def held_out(dataset: Input, prompts: int, per_film: int, seed: int) -> list[DialoguePair]:
    """Held-out pairs drawn from the test split by seed; fewer where it has not that many.

    Raises:
        UserError: it has none.
    """
    from datasets import load_dataset

    if "test" not in splits(dataset):
        raise UserError(f"{dataset.repo}@{dataset.revision} has no split `test`; prepare it with training.prepare")
    pairs = load_dataset(dataset.repo, "pairs", split="test", revision=dataset.revision)
    drawn = [pairs[index] for index in sample_indices(list(pairs["movie_id"]), prompts, per_film, seed)]
    if not drawn:
        raise UserError(f"{dataset.repo} has no test pairs; prepare it from more films")
    return drawn


def splits(dataset: Input) -> list[str]:
    """Names of the splits that a dialogue dataset has at its revision."""
    from datasets import get_dataset_split_names

    return list(get_dataset_split_names(dataset.repo, "pairs", revision=dataset.revision))


def train_lines(dataset: Input) -> list[str]:
    """Training lines, prompts' and replies', once each; none where the dataset has no train split."""
    from datasets import load_dataset

    if "train" not in splits(dataset):
        return []
    pairs = load_dataset(dataset.repo, "pairs", split="train", revision=dataset.revision)
    turns = (turn for column in ("prompt", "completion") for messages in pairs[column] for turn in messages)
    return list(dict.fromkeys(turn["content"] for turn in turns if turn["role"] != "system"))


def sample_indices(films: Sequence[str], count: int, per_film: int, seed: int) -> list[int]:
    """Stratified sample of up to `count` indices by seed, at most `per_film` of one film: no long script outweighs."""
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
    variants: ModelVariants, rows: list[DialoguePair], sampling: Sampling, seed: int, folder: Path
) -> dict[str, list[Reply]]:
    """Replies of every variant to every prompt, all with the same seeds; by variant.

    Finished chunks are kept in `folder`, so that a killed run carries on and ends with the replies of an unbroken one.
    """
    prompts = [row["prompt"] for row in rows]
    return {
        name: generate_resumable(folder / f"{name}.jsonl", variants, prompts, [name] * len(prompts), sampling, seed)
        for name in variants.names
    }
