"""Evaluation run: variants loaded by revision, prompts answered and ranked, every metric computed."""

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
    from eval.rows import DialoguePair, Response


def compute_results(
    inputs: Mapping[str, Input], data: Input, settings: dict[str, Any], sampling: Sampling, folder: Path
) -> tuple[list[Response], dict[str, Any]]:
    """Responses and metrics: loads the variants by revision, lets them answer, and measures.

    Returns:
        The responses to publish, one a prompt, and the results as plain JSON.

    Raises:
        UserError: an unknown judge, or a dataset without test pairs.
    """
    from chat.variants import ModelRef, load_variants
    from eval.judge.pmi import JUDGES
    from eval.measure import (
        compare_replies,
        distinct_at_equal_budget,
        film_reply,
        measure_variant,
        paired_metrics,
        rank,
        text_metrics,
    )
    from eval.metrics import distractors, training_overlap
    from eval.responses import held_out, respond, train_lines
    from eval.rows import PAIRS

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
        f"{first} over {second}": compare_replies(judge, pairs, replies[first], replies[second])
        for first, second in PAIRS
        if first in replies and second in replies
    }
    texts = {**{name: [reply.text for reply in own] for name, own in replies.items()}, "film": films}
    equal = distinct_at_equal_budget(texts, seed)
    lines = train_lines(data)
    known = training_overlap([text for own in texts.values() for text in own], lines) if lines else None
    results = {
        "prompts": len(pairs),
        "films": len({pair["movie_id"] for pair in pairs}),
        "train_lines": len(lines),
        "candidates": len(candidates[0]) + 1,
        "voices": {
            name: {**measure_variant(pairs, replies[name], ranked[name], known, seed), **equal[name]}
            for name in variants.names
        },
        "film": {**text_metrics(films, known, seed), **equal["film"]},
        "paired": paired_metrics(pairs, ranked, seed),
        "judge": judge.name,
        "preferred": {
            pair: {**result.preference._asdict(), "p_value": result.p_value} for pair, result in compared.items()
        },
    }
    orders = {pair: result.first_better for pair, result in compared.items()}
    responses = [response(pair, index, candidates, replies, ranked, orders) for index, pair in enumerate(pairs)]
    return responses, to_plain(results)


def response(
    pair: DialoguePair,
    index: int,
    candidates: list[list[str]],
    replies: Mapping[str, list[Reply]],
    ranked: Mapping[str, list[Ranked]],
    orders: Mapping[str, list[list[float]]],
) -> Response:
    """Response to one prompt: what everybody answered, and every number that the metrics are made of."""
    from eval.rows import Response, VariantResponse

    return Response(
        prompt=pair["prompt"],
        film_reply=pair["completion"][0]["content"],
        movie_id=pair["movie_id"],
        movie_title=pair["movie_title"],
        conversation_id=pair["conversation_id"],
        line_ids=pair["line_ids"],
        distractors=candidates[index],
        variants={
            name: VariantResponse(
                text=own[index].text,
                ended=str(own[index].finish_reason),
                tokens=own[index].tokens,
                film_reply_nats=-sum(ranked[name][index].log_probs),
                film_reply_tokens=len(ranked[name][index].log_probs),
                film_reply_end_nats=-ranked[name][index].log_probs[-1],
                hit_pmi=ranked[name][index].hit_pmi,
                hit_likelihood=ranked[name][index].hit_likelihood,
            )
            for name, own in replies.items()
        },
        first_better={name: both[index] for name, both in orders.items()},
    )


def to_plain(value: Any) -> Any:
    """Plain JSON form: named tuples, and those inside them, as dictionaries."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {key: to_plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value
