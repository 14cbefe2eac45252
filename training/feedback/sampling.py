"""Prompts from the train films, and two sampled replies to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from chat.generate import FinishReason
from hub.errors import UserError
from hub.lineage import Input
from hub.pasted import pasted_secret
from training.recipe_preferences import Preferences

if TYPE_CHECKING:
    from chat.engine.openai_server import RemoteEngine
    from chat.generate import Reply
    from chat.variants import ModelVariants

MAX_SIMILARITY = 0.9  # rapidfuzz's normalized Indel similarity of words: 1 is the same words in the same order


class PromptRow(TypedDict):
    """A prompt to answer: one row of the config `prompts`."""

    prompt: list[dict[str, str]]
    scene: dict[str, Any]
    """Where it is from."""
    film_reply: str | None
    """What the film answers; None where the prompt is of no film."""


@dataclass(frozen=True)
class SampledPairs:
    """Two replies to each prompt."""

    pairs: list[tuple[Reply, Reply]]
    seeds: list[int]
    """Of the draw that a pair comes from."""
    counts: dict[str, int]
    """What was redrawn, and what was no better after the last draw."""


def seeded_prompts(dialogue: Input, settings: Preferences) -> list[PromptRow]:
    """Draws distinct prompts from the train split; each keeps the scene it came from, and the film's own reply."""
    from datasets import load_dataset

    rows = load_dataset(dialogue.repo, "pairs", split="train", revision=dialogue.revision)
    prompts: dict[str, PromptRow] = {}
    for row in rows.shuffle(seed=settings.seed):
        scene = {key: row[key] for key in ("movie_id", "movie_title", "conversation_id", "line_ids")}
        film_reply = row["completion"][0]["content"]
        prompts.setdefault(
            row["prompt"][-1]["content"], {"prompt": row["prompt"], "scene": scene, "film_reply": film_reply}
        )
        if len(prompts) == settings.prompts:
            break
    return list(prompts.values())


@contextmanager
def open_sampler(
    variants: ModelVariants | None, base: Input, settings: Preferences
) -> Iterator[ModelVariants | RemoteEngine]:
    """Who samples the replies: the server that the recipe names, else the variants of this machine.

    Raises UserError where the server does not answer.
    """
    if settings.server is None:
        assert variants is not None
        yield variants
        return
    from chat.engine.openai_formats import EngineError, Server
    from chat.engine.openai_server import RemoteEngine
    from chat.template import load_tokenizer

    tokenizer, key = load_tokenizer(base.repo, base.revision), pasted_secret("REPARTEE_ENGINE_KEY")
    try:
        with closing(RemoteEngine({"sft": Server(settings.server, settings.server_model)}, tokenizer, key)) as engine:
            yield engine
    except EngineError as error:
        raise UserError(f"{error} (in a recipe: preferences.server and server_model)") from error


def sampled(
    variants: ModelVariants | RemoteEngine, prompts: list[PromptRow], settings: Preferences, folder: Path
) -> SampledPairs:
    """Samples two replies to each prompt by the SFT variant, and again where one is of no use; killed, it carries on.

    Of no use are replies that are empty, did not end by themselves, or are as good as the same. They are drawn anew
    `settings.redraws` times, with another seed each time; a pair that is no better then is kept as it is, and counted.
    """
    from chat.resumable import generate_resumable
    from chat.sampling import Sampling

    sampling = Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p)
    pairs: list[tuple[Reply, Reply]] = []
    seeds = [settings.seed] * len(prompts)
    counts: Counter[str] = Counter()
    again = list(range(len(prompts)))
    for draw in range(settings.redraws + 1):
        seed = settings.seed + 1_000 * draw
        path = folder / ("replies.jsonl" if draw == 0 else f"replies-{draw}.jsonl")
        twice = [prompts[index]["prompt"] for index in again for _ in range(2)]
        replies = generate_resumable(path, variants, twice, ["sft"] * len(twice), sampling, seed)
        drawn = list(zip(replies[::2], replies[1::2], strict=True))
        if draw == 0:
            pairs = drawn
        else:
            counts["pairs drawn again"] += len(again)
            for index, pair in zip(again, drawn, strict=True):
                if pair_defect(pair) is None or pair_defect(pairs[index]) is not None:
                    pairs[index], seeds[index] = pair, seed
        again = [index for index in again if pair_defect(pairs[index])]
        if not again:
            break
    counts.update(f"after the last draw: {pair_defect(pairs[index])}" for index in again)
    return SampledPairs(pairs, seeds, dict(counts))


def pair_defect(pair: tuple[Reply, Reply]) -> str | None:
    """What makes a pair of replies useless for a preference, or None."""
    first, second = pair
    if not first.text.strip() or not second.text.strip():
        return "an empty reply"
    if not {first.finish_reason, second.finish_reason} <= {FinishReason.END_OF_TURN, FinishReason.UNNAMED_STOP}:
        return "a reply that did not end"
    return "replies alike" if similarity(first.text, second.text) > MAX_SIMILARITY else None


def similarity(first: str, second: str) -> float:
    """ROUGE-L F1 of two texts (Lin, 2004), 0 to 1: twice the longest common subsequence of words over both lengths."""
    from rapidfuzz.distance import Indel

    return Indel.normalized_similarity(first.lower().split(), second.lower().split())
