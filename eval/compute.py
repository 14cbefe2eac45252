"""The figures of an evaluation: variants loaded by revision, prompts answered and ranked, everything measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.sampling import Sampling
from hub.errors import UserError
from hub.lineage import Input

if TYPE_CHECKING:
    from chat.generate import Reply
    from eval.measure import Ranked

Results = dict[str, Any]


def evaluate(
    inputs: Mapping[str, Input], data: Input, settings: dict[str, Any], sampling: Sampling, folder: Path
) -> tuple[list[dict[str, Any]], Results]:
    """Loads the variants by revision, lets them answer, and measures.

    Returns the rows to publish, one a prompt, and the figures as plain JSON.

    Raises UserError for an unknown judge or a dataset without test pairs.
    """
    from chat.variants import ModelRef, load_variants
    from eval.judge.pmi import JUDGES
    from eval.measure import PAIRS, compare, figures, film_reply, of_texts, paired_figures, rank
    from eval.metrics import distractors, seen
    from eval.responses import held_out, respond, train_lines

    if settings["judge"] not in JUDGES:
        raise UserError(f"no judge is called {settings['judge']}; there is {', '.join(JUDGES)}")
    seed = settings["seed"]
    pairs = held_out(data, settings["prompts"], settings["per_film"], seed)
    adapters = {name: ModelRef(source.repo, source.revision) for name, source in inputs.items()}
    variants = load_variants(adapters.pop("base"), adapters, four_bit=settings["four_bit"])
    replies = respond(variants, pairs, sampling, seed, folder)
    groups, films = [pair["conversation_id"] for pair in pairs], [film_reply(pair) for pair in pairs]
    candidates = distractors(films, groups, settings["distractors"], seed)
    ranked = {name: rank(variants, name, pairs, candidates) for name in variants.names}
    judge = JUDGES[settings["judge"]](variants)
    compared = {
        f"{first} over {second}": compare(judge, pairs, replies[first], replies[second])
        for first, second in PAIRS
        if first in replies and second in replies
    }
    lines = train_lines(data)
    known = seen([*films, *(reply.text for own in replies.values() for reply in own)], lines) if lines else None
    results = {
        "prompts": len(pairs),
        "films": len({pair["movie_id"] for pair in pairs}),
        "train_lines": len(lines),
        "candidates": len(candidates[0]) + 1,
        "voices": {name: figures(pairs, replies[name], ranked[name], known, seed) for name in variants.names},
        "film": of_texts(films, known, seed),
        "paired": paired_figures(pairs, ranked, seed),
        "judge": judge.name,
        "preferred": {
            pair: {**result.preference._asdict(), "p_value": result.p_value} for pair, result in compared.items()
        },
    }
    orders = {pair: result.first_better for pair, result in compared.items()}
    rows = [response(pair, index, candidates, replies, ranked, orders) for index, pair in enumerate(pairs)]
    return rows, plain(results)


def response(
    pair: dict[str, Any],
    index: int,
    candidates: list[list[str]],
    replies: Mapping[str, list[Reply]],
    ranked: Mapping[str, list[Ranked]],
    orders: Mapping[str, list[list[float]]],
) -> dict[str, Any]:
    """One published row: where a prompt is from, what everybody answered, and every number the figures are made of."""
    return {
        "prompt": pair["prompt"],
        "film_reply": pair["completion"][0]["content"],
        **{key: pair[key] for key in ("movie_id", "movie_title", "conversation_id", "line_ids")},
        "distractors": candidates[index],
        **{
            name: {
                **replies[name][index].to_row(),
                "film_reply_nats": -sum(ranked[name][index].log_probs),
                "film_reply_tokens": len(ranked[name][index].log_probs),
                "hit_pmi": ranked[name][index].hit_pmi,
                "hit_likelihood": ranked[name][index].hit_likelihood,
            }
            for name in replies
        },
        "first_better": {pair: both[index] for pair, both in orders.items()},
    }


def plain(value: Any) -> Any:
    """Named tuples and what is inside them as dictionaries, for JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {key: plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value
