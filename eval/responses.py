"""Sampling of held-out prompts, and of what each variant answers to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from chat.generate import Reply, first_turn
from chat.resumable import generate_resumable
from chat.sampling import Sampling
from chat.variants import ModelVariants
from eval.rows import DialoguePair, places_by_source
from hub.errors import UserError
from hub.lineage import Input

if TYPE_CHECKING:
    from datasets import Dataset


def held_out(dataset: Input, prompts: int, per_film: int, seed: int) -> list[DialoguePair]:
    """Held-out pairs drawn from the test split by seed; fewer where it has not that many.

    Raises:
        UserError: it has none.
    """
    if "test" not in splits(dataset):
        raise UserError(f"{dataset.repo}@{dataset.revision} has no split `test`; prepare it with training.prepare")
    drawn = drawn_pairs(dataset, "test", prompts, per_film, seed)
    if not drawn:
        raise UserError(f"{dataset.repo} has no test pairs; prepare it from more films")
    return drawn


def validation_pairs(dataset: Input, prompts: int, per_film: int, seed: int) -> list[DialoguePair]:
    """Pairs drawn from the validation split by seed; none where the dataset has no such split."""
    return drawn_pairs(dataset, "validation", prompts, per_film, seed) if "validation" in splits(dataset) else []


def drawn_pairs(dataset: Input, split: str, prompts: int, per_film: int, seed: int) -> list[DialoguePair]:
    """Pairs of a split by `sample_by_source`. A film that its source gives no id goes by its title."""
    pairs = load_pairs(dataset, split)
    films = [id or title for id, title in zip(pairs["movie_id"], pairs["movie_title"], strict=True)]
    sources = list(pairs["source"]) if "source" in pairs.column_names else [""] * len(films)
    drawn = sample_by_source(films, sources, prompts, per_film, seed)
    return [pairs[index] | {"movie_id": films[index]} for index in drawn]


def load_pairs(dataset: Input, split: str) -> Dataset:
    """Pairs of a split of a dialogue dataset, at its revision."""
    from datasets import load_dataset

    return load_dataset(dataset.repo, "pairs", split=split, revision=dataset.revision)


def splits(dataset: Input) -> list[str]:
    """Names of the splits that a dialogue dataset has at its revision."""
    from datasets import get_dataset_split_names

    return list(get_dataset_split_names(dataset.repo, "pairs", revision=dataset.revision))


def train_lines(dataset: Input) -> list[str]:
    """Training lines, prompts' and replies', once each; none where the dataset has no train split."""
    if "train" not in splits(dataset):
        return []
    pairs = load_pairs(dataset, "train")
    turns = (turn for column in ("prompt", "completion") for messages in pairs[column] for turn in messages)
    return list(dict.fromkeys(turn["content"] for turn in turns if turn["role"] != "system"))


def sample_by_source(films: Sequence[str], sources: Sequence[str], count: int, per_film: int, seed: int) -> list[int]:
    """Indices drawn by `sample_indices` from each source alone, one of each in turn, up to `count`.

    So every source is measured on as many prompts as it has, up to its share, however large the others are; and what
    is drawn of one depends on no other, which lets two datasets that share a source be compared on it.
    """
    drawn = [
        [own[index] for index in sample_indices([films[place] for place in own], count, per_film, seed)]
        for own in places_by_source(sources).values()
    ]
    return [index for turn in zip_longest(*drawn) for index in turn if index is not None][:count]


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
    variants: ModelVariants,
    rows: list[DialoguePair],
    sampling: Sampling,
    seed: int,
    folder: Path,
    names: Sequence[str] | None = None,
) -> dict[str, list[Reply]]:
    """Replies of every variant, or of those in `names`, to every prompt, all with the same seeds; by variant.

    Finished chunks are kept in `folder`, so that a killed run carries on and ends with the replies of an unbroken one.
    """
    prompts = [row["prompt"] for row in rows]
    return {
        name: generate_resumable(folder / f"{name}.jsonl", variants, prompts, [name] * len(prompts), sampling, seed)
        for name in (variants.names if names is None else names)
    }


def cut_at_turn(reply: Reply) -> Reply:
    """A reply up to the end of its first turn; how it ended, and its tokens, stay those of all that was said."""
    return replace(reply, text=first_turn(reply.text))
