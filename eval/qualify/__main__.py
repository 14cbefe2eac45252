"""Qualification of a judge: `python -m eval.qualify --namespace NAMESPACE --size starter --judge pmi`.

A judge must prefer the film's own reply to replies that are known to be worse (another film's, a truncated, an echoing,
a repeated, an over-long, an assistant-like one), in both orders, before it labels preferences. Prints a card with the
accuracy on each control, its biases and the verdict. Judges: pmi, pmi:sft, mean-pmi:base, mean-pmi:sft, realism,
realism-held-out, implicit:HUB_ID, reward:HUB_ID (`eval.judge.names`), or llm, by the flags of its section.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import UserError, one_line_errors
from hub.lineage import Input, pin
from hub.names import Names

if TYPE_CHECKING:
    from chat.variants import ModelVariants
    from eval.judge.comparison import Judge
    from eval.qualify.card import QualificationCard
    from eval.rows import DialoguePair


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the qualification."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if (arguments.judge == "llm") != bool(arguments.model):
        parser.error("--judge llm and --model go together")
    with one_line_errors():
        from eval.qualify.render import qualification_table

        card = run_qualification(arguments)
        print("\n" + qualification_table(card))
        if arguments.json:
            arguments.json.write_text(card.save_text())


def build_parser() -> argparse.ArgumentParser:
    """Flags: which judge, on what, and the settings of an LLM."""
    from eval.evaluation import positive
    from eval.judge.settings import add_settings_arguments

    parser = argparse.ArgumentParser(
        prog="python -m eval.qualify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", required=True, help="whose dialogue dataset and models, on the Hub")
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--base", help="Hub id of the base (default: the one that the namespace has published)")
    parser.add_argument("--judge", required=True, help="pmi, mean-pmi:sft, implicit:HUB_ID, reward:HUB_ID, llm, ...")
    parser.add_argument("--pairs", type=positive, default=200, help="pairs of each control (default: %(default)s)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--sampled", action="store_true", help="also the film's reply over those of SFT and base")
    parser.add_argument("--reference", help="embedded judge that self-preference is measured against; with --sampled")
    parser.add_argument("--human-scores", type=Path, help="CSV or JSON lines with prompt, reply and score")
    parser.add_argument("--labels", type=positive, default=10_000, help="planned, for the cost (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the card as JSON, too")
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"), help="default: %(default)s")
    add_settings_arguments(parser)
    return parser


def run_qualification(arguments: argparse.Namespace) -> QualificationCard:
    """Qualifies the judge that the arguments name; everything that they ask for stands on the card.

    Raises:
        UserError: there is no such judge, or nothing to qualify it on.
    """
    from eval.judge.comparison import in_both_orders
    from eval.judge.names import full_name
    from eval.qualify.cost import announce_cost
    from eval.qualify.pairs import control_pairs, draw_prompts, sampled_pairs, split_rows
    from eval.qualify.people import agreement_with_people, read_human_scores
    from eval.qualify.qualification import known_order, qualify

    people = read_human_scores(arguments.human_scores) if arguments.human_scores else []
    names = Names(arguments.namespace, arguments.size)
    arguments.judge = full_name(arguments.judge, names)
    arguments.reference = arguments.reference and full_name(arguments.reference, names)
    dialogue = pin(names.dialogue, "dataset")
    rows = split_rows(dialogue, arguments.split)
    drawn = draw_prompts(rows, arguments.pairs, arguments.seed)
    variants = load_needed(arguments, names)
    judge = open_judge(arguments, variants)
    pairs, samples = control_pairs(rows, drawn, arguments.seed), {}
    if arguments.sampled and variants:
        samples = sampled_replies(variants, drawn, arguments, dialogue)
        pairs += sampled_pairs(drawn, samples)
    cost = announce_cost(judge, in_both_orders(known_order(pairs)), arguments.labels)
    card = qualify(judge, pairs, f"{dialogue.repo}@{dialogue.revision[:12]}, {arguments.split}, seed {arguments.seed}")
    if people:
        card = replace(card, people=agreement_with_people(judge, people))
    if arguments.reference:
        card = with_self_preference(card, judge, arguments, variants, drawn, samples)
    return replace(card, cost=cost)


def with_self_preference(
    card: QualificationCard,
    judge: Judge,
    arguments: argparse.Namespace,
    variants: ModelVariants | None,
    drawn: list[DialoguePair],
    samples: dict[str, list[str]],
) -> QualificationCard:
    """The card with self-preference on sampled replies, of a judge that scores by the likelihood of base or SFT."""
    from eval.judge.embedded import open_embedded
    from eval.judge.names import EmbeddedName
    from eval.qualify.self_preference import self_preference
    from eval.rows import film_reply

    own = EmbeddedName.parse(arguments.judge).of
    against = open_embedded(arguments.reference, variants)
    rivals = {"the film's reply": [film_reply(row) for row in drawn]}
    rivals |= {f"{name}'s reply": replies for name, replies in samples.items() if name != own}
    found = self_preference(judge, against, drawn, samples[own], rivals)
    return replace(card, reference=against.name, self_preference=found)


def load_needed(arguments: argparse.Namespace, names: Names) -> ModelVariants | None:
    """The variants that judge, reference and samples need; None where they need none."""
    from chat.variants import ModelRef, load_variants
    from eval.judge.names import EmbeddedName

    if arguments.reference and not arguments.sampled:
        raise UserError("--reference measures self-preference on sampled replies; add --sampled")
    asked = [name for name in (arguments.judge, arguments.reference) if name and name != "llm"]
    needed = {parsed.of for parsed in map(EmbeddedName.parse, asked) if parsed.repo is None}
    if arguments.reference and (
        arguments.judge == "llm" or EmbeddedName.parse(arguments.judge).of not in ("base", "sft")
    ):
        raise UserError(f"{arguments.judge} scores by the likelihood of neither base nor SFT; leave out --reference")
    if arguments.sampled:
        needed.add("sft")
    if not needed:
        return None
    base = pin(arguments.base or names.base, "model")
    adapters = {name: pin(names.adapter(name), "model") for name in sorted(needed - {"base"})}
    refs = {name: ModelRef(source.repo, source.revision) for name, source in adapters.items()}
    return load_variants(ModelRef(base.repo, base.revision), refs)


def open_judge(arguments: argparse.Namespace, variants: ModelVariants | None) -> Judge:
    """The judge by its name: an LLM behind the cache that the preferences have, or an embedded one."""
    if arguments.judge != "llm":
        from eval.judge.embedded import open_embedded

        return open_embedded(arguments.judge, variants)
    from eval.judge.client import Client
    from eval.judge.pairwise import LLMJudge
    from eval.judge.settings import settings_from

    try:
        settings = settings_from(arguments)
    except ValueError as error:
        raise UserError(str(error)) from error
    return LLMJudge(Client(settings, arguments.work / "judge.sqlite"))


def sampled_replies(
    variants: ModelVariants, drawn: list[DialoguePair], arguments: argparse.Namespace, dialogue: Input
) -> dict[str, list[str]]:
    """One reply of SFT and of the base to each prompt, cut at its first turn."""
    from eval.qualify.pairs import sampled_texts

    source = "-".join(variants.revisions[name][:12] for name in ("base", "sft"))
    asked = f"{dialogue.revision[:12]}-{arguments.split}-{len(drawn)}-{arguments.seed}"
    return sampled_texts(variants, drawn, arguments.seed, arguments.work / f"qualify-{source}-{asked}")


if __name__ == "__main__":
    main()
