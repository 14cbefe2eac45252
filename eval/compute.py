"""Evaluation run: variants loaded by revision, prompts answered and ranked, every metric computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chat.sampling import Sampling
from hub.lineage import Input

if TYPE_CHECKING:
    from chat.generate import Reply
    from chat.variants import ModelVariants
    from eval.base_format import FormatChoice
    from eval.judge.embedded import EmbeddedJudge
    from eval.measure import Compared, Metrics, Ranked
    from eval.rows import DialoguePair, Response, VariantResponse

FORMAT_METRICS = ("text_nats_per_byte", "end_nats", "hits_pmi", "hits_likelihood", "stop_rate")
"""What is published of the base in both of its reply formats."""


class Answers(NamedTuple):
    """Answers of one variant to every prompt."""

    uncut: list[Reply]
    """All that it said."""
    replies: list[Reply]
    """The first turn of that, which is compared and measured."""
    ranked: list[Ranked]
    """How it ranks the films' own replies."""


def compute_results(
    inputs: Mapping[str, Input], data: Input, settings: dict[str, Any], sampling: Sampling, folder: Path
) -> tuple[list[Response], dict[str, Any]]:
    """Responses and metrics: loads the variants by revision, lets them answer, and measures.

    The base is asked in the reply format that is better for it on validation pairs, and measured in the other beside.

    Returns:
        The responses to publish, one a prompt, and the results as plain JSON.

    Raises:
        UserError: an unknown judge, or a dataset without test pairs.
    """
    from chat.variants import ModelRef, load_variants
    from eval.base_format import base_in, choose_format
    from eval.controls import control_replies
    from eval.judge.embedded import open_embedded
    from eval.judge.names import EmbeddedName
    from eval.measure import measure_by_source, measure_variant, paired_metrics
    from eval.metrics import distractors
    from eval.responses import held_out, train_lines, validation_pairs
    from eval.rows import film_reply

    EmbeddedName.parse(settings["judge"])  # before anything is loaded
    seed, per_film = settings["seed"], settings["per_film"]
    pairs = held_out(data, settings["prompts"], per_film, seed)
    validation = validation_pairs(data, settings["format_pairs"], per_film, seed)
    adapters = {name: ModelRef(source.repo, source.revision) for name, source in inputs.items()}
    loaded = load_variants(adapters.pop("base"), adapters, four_bit=settings["four_bit"])
    films, scenes = [film_reply(pair) for pair in pairs], [pair["conversation_id"] for pair in pairs]
    questions = Questions(pairs, distractors(films, scenes, settings["distractors"], seed), sampling, seed)
    choice = choose_format(loaded, validation)
    variants = base_in(loaded, choice.chosen)
    answers = questions.ask(variants, variants.names, folder)
    in_other = questions.ask(base_in(loaded, choice.other), ("base",), folder / choice.other)["base"]
    controls = control_replies(pairs, seed)
    lines = train_lines(data)
    measured = measure_all(pairs, answers, controls, lines, seed)
    judge = open_embedded(settings["judge"], variants, settings.get("judge_revision"))
    judged = judge_all(judge, pairs, texts_of(answers) | controls, measured)
    other = measure_variant(pairs, in_other.replies, in_other.ranked, None)
    formats = {choice.chosen: measured["base"], choice.other: other}
    results = {
        "prompts": len(pairs),
        "films": len({pair["movie_id"] for pair in pairs}),
        "train_lines": len(lines),
        "candidates": len(questions.candidates[0]) + 1,
        "voices": {name: measured[name] for name in answers},
        **{name: measured[name] for name in controls},
        "base_formats": format_facts(choice, len(validation), formats),
        "paired": paired_metrics(pairs, {name: own.ranked for name, own in answers.items()}),
        "sources": measure_by_source(pairs, {name: (own.replies, own.ranked) for name, own in answers.items()}),
        "judge": judge.name,
        "preferred": {name: one.preference for name, one in judged.items()},
    }
    orders = {name: one.first_better for name, one in judged.items()}
    responses = [
        response(pair, index, questions.candidates, controls.get("shuffled"), answers, orders)
        for index, pair in enumerate(pairs)
    ]
    return responses, to_plain(results)


@dataclass(frozen=True)
class Questions:
    """What every variant is asked, and how."""

    pairs: list[DialoguePair]
    candidates: list[list[str]]
    """Distractors beside each film's reply."""
    sampling: Sampling
    seed: int

    def ask(self, variants: ModelVariants, names: Sequence[str], folder: Path) -> dict[str, Answers]:
        """Answers of some of the variants, by variant: first all replies, kept in `folder`, then the ranks."""
        from eval.measure import rank
        from eval.responses import cut_at_turn, respond

        said = respond(variants, self.pairs, self.sampling, self.seed, folder, names)
        return {
            name: Answers(
                uncut,
                list(map(cut_at_turn, uncut)),
                rank(reader(variants, name), name, self.pairs, self.candidates, folder / f"{name}-ranks.jsonl"),
            )
            for name, uncut in said.items()
        }


def reader(variants: ModelVariants, name: str) -> ModelVariants:
    """What reads for one variant: on a CPU a merged copy, 1.7 times as fast as looking its adapter up in each layer.

    A GPU's memory may not hold a copy, and merging would round an adapter on 4-bit weights.
    """
    from chat.variants import merged

    model = variants.model
    copied = model.device.type == "cpu" and not getattr(model, "is_loaded_in_4bit", False)
    return merged(variants, name) if copied else variants


def texts_of(answers: Mapping[str, Answers]) -> dict[str, list[str]]:
    """Texts of the replies as they are compared, by variant."""
    return {name: [reply.text for reply in own.replies] for name, own in answers.items()}


def judge_all(
    judge: EmbeddedJudge, pairs: list[DialoguePair], texts: Mapping[str, list[str]], measured: dict[str, Metrics]
) -> dict[str, Compared]:
    """Comparisons of variants and controls by name of the pair (`dpo over sft`).

    Args:
        judge: scores every reply once.
        pairs: the prompts.
        texts: replies by variant or control.
        measured: metrics of each, to which those of its scores are added.
    """
    from eval.measure import compare_replies, films_of, score_metrics
    from eval.rows import compared_pairs

    prompts = [pair["prompt"] for pair in pairs]
    for name, own in texts.items():
        measured[name] |= score_metrics(judge.score(list(zip(prompts, own, strict=True))), films_of(pairs))
    return {
        f"{first} over {second}": compare_replies(judge, pairs, texts[first], texts[second])
        for first, second in compared_pairs(texts)
    }


def measure_all(
    pairs: list[DialoguePair],
    answers: Mapping[str, Answers],
    controls: Mapping[str, list[str]],
    lines: list[str],
    seed: int,
) -> dict[str, Metrics]:
    """Metrics of every variant, and those of texts alone of the controls."""
    from eval.measure import distinct_at_equal_budget, films_of, measure_variant, text_metrics
    from eval.metrics import training_overlap

    texts = texts_of(answers) | dict(controls)
    known = training_overlap([text for own in texts.values() for text in own], lines) if lines else None
    equal = distinct_at_equal_budget(texts, seed)
    found = {name: measure_variant(pairs, own.replies, own.ranked, known) for name, own in answers.items()}
    found |= {name: text_metrics(own, known, films_of(pairs)) for name, own in controls.items()}
    return {name: {**own, **equal[name]} for name, own in found.items()}


def format_facts(choice: FormatChoice, count: int, measured: Mapping[str, Metrics]) -> dict[str, Any]:
    """The choice of the base's reply format: by how many validation pairs, and FORMAT_METRICS in either format."""
    return {
        "chosen": choice.chosen,
        "validation_pairs": count,
        "formats": {
            name: {key: own[key] for key in FORMAT_METRICS}
            | {"validation_text_nats_per_byte": choice.validation.get(name)}
            for name, own in measured.items()
        },
    }


def response(
    pair: DialoguePair,
    index: int,
    candidates: list[list[str]],
    shuffled: list[str] | None,
    answers: Mapping[str, Answers],
    orders: Mapping[str, list[list[float]]],
) -> Response:
    """Response to one prompt: what everybody answered, and every number that the metrics are made of."""
    from eval.rows import Response, film_reply

    return Response(
        prompt=pair["prompt"],
        film_reply=film_reply(pair),
        shuffled_reply=shuffled[index] if shuffled else None,
        movie_id=pair["movie_id"],
        movie_title=pair["movie_title"],
        conversation_id=pair["conversation_id"],
        line_ids=pair["line_ids"],
        distractors=candidates[index],
        variants={
            name: variant_response(own.uncut[index], own.replies[index], own.ranked[index])
            for name, own in answers.items()
        },
        first_better={name: both[index] for name, both in orders.items()},
    )


def variant_response(uncut: Reply, reply: Reply, ranked: Ranked) -> VariantResponse:
    """Column of one variant."""
    from eval.rows import VariantResponse

    return VariantResponse(
        text=reply.text,
        ended=str(reply.finish_reason),
        tokens=reply.tokens,
        film_reply_nats=-sum(ranked.log_probs),
        film_reply_tokens=len(ranked.log_probs),
        film_reply_end_nats=-ranked.log_probs[-1],
        hit_pmi=ranked.hit_pmi,
        hit_likelihood=ranked.hit_likelihood,
        uncut=uncut.text,
    )


def to_plain(value: Any) -> Any:
    """Plain JSON form: named tuples, and those inside them, as dictionaries."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {key: to_plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value
