"""Control pairs: the film's own reply and a worse one to each of some prompts of the held-out films."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chat.sampling import Sampling
from chat.template import Message
from chat.variants import ModelVariants
from eval.qualify.controls import CONTROLS, Pool, first_sentences
from eval.responses import cut_at_turn, load_pairs, respond, sample_indices, splits
from eval.rows import DialoguePair, film_reply
from hub.errors import UserError
from hub.lineage import Input

PER_FILM = 20
"""Prompts of one film at most: no long script outweighs."""
POOL = 400
"""Replies of other films that a control draws from."""
SFT_SAMPLE, BASE_SAMPLE = "SFT sample", "base sample"
SAMPLES = {"sft": SFT_SAMPLE, "base": BASE_SAMPLE}
"""Controls that are no functions of texts, by the variant whose answer the worse reply is."""


@dataclass(frozen=True)
class ControlPair:
    """Two replies to a prompt, of which it is known which is better."""

    control: str
    film: str
    prompt: list[Message]
    better: str
    worse: str


def split_rows(dialogue: Input, split: str) -> list[DialoguePair]:
    """Pairs of a held-out split of a dialogue dataset.

    Raises:
        UserError: it has no such split, or nothing in it.
    """
    rows: list[DialoguePair] = list(load_pairs(dialogue, split)) if split in splits(dialogue) else []
    if not rows:
        raise UserError(f"{dialogue.repo} has no {split} pairs to qualify a judge on; prepare it from more films")
    return rows


def draw_prompts(rows: Sequence[DialoguePair], count: int, seed: int) -> list[DialoguePair]:
    """Up to `count` prompts drawn by seed, at most PER_FILM of one film."""
    return [rows[index] for index in sample_indices([row["movie_id"] for row in rows], count, PER_FILM, seed)]


def control_pairs(rows: Sequence[DialoguePair], drawn: Sequence[DialoguePair], seed: int) -> list[ControlPair]:
    """Control pairs of drawn prompts: every control on each, where the film's reply serves for it.

    Args:
        rows: the whole split, the pool of other replies.
        drawn: the prompts.
        seed: of what the controls draw; a prompt's controls hang on it and on the prompt alone, not on their order.
    """
    by_film: dict[str, list[DialoguePair]] = {}
    for row in rows:
        by_film.setdefault(row["movie_id"], []).append(row)
    replies = [(row["movie_id"], film_reply(row)) for row in rows]
    pairs = []
    for row in drawn:
        line, reply = row["prompt"][-1]["content"], film_reply(row)
        rng = random.Random(f"{seed}:{row['movie_id']}:{line}:{reply}")
        some = rng.sample(replies, min(POOL, len(replies)))
        own = [film_reply(o) for o in by_film[row["movie_id"]] if o["conversation_id"] != row["conversation_id"]]
        pool = Pool([text for film, text in some if film != row["movie_id"]], own)
        for name, control in CONTROLS.items():
            worse = control(line, reply, random.Random(f"{rng.random()}:{name}"), pool)
            if worse and worse.split() != reply.split():
                pairs.append(ControlPair(name, row["movie_id"], row["prompt"], reply, worse))
    return pairs


def sampled_texts(variants: ModelVariants, drawn: list[DialoguePair], seed: int, folder: Path) -> dict[str, list[str]]:
    """What each variant of SAMPLES answers to prompts, cut at its first turn; a killed run carries on in the folder."""
    said = respond(variants, drawn, Sampling(), seed, folder, list(SAMPLES))
    return {name: [cut_at_turn(reply).text for reply in own] for name, own in said.items()}


def sampled_pairs(drawn: Sequence[DialoguePair], samples: Mapping[str, Sequence[str]]) -> list[ControlPair]:
    """The film's own reply over what variants answer; empty samples, and those that are the film's, left out.

    A sample is cut after its first sentences to the film's length (`first_sentences`): a base talks on, and would be
    told by its length alone.

    Args:
        drawn: the prompts.
        samples: by variant, its answer to each prompt.
    """
    pairs = []
    for name, own in samples.items():
        for row, sample in zip(drawn, own, strict=True):
            film = film_reply(row)
            worse = first_sentences(sample, len(film.split()))
            if worse and worse.split() != film.split():
                pairs.append(ControlPair(SAMPLES[name], row["movie_id"], row["prompt"], film, worse))
    return pairs
