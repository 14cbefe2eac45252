"""Comparison of adapters: `python -m eval.compare --namespace NAMESPACE --adapters ME/DPO@COMMIT ME/DPO@COMMIT`.

Each answers the same held-out prompts with the same seeds, and an embedded judge compares it with a reference (the SFT
adapter, unless given): as it is, at equal length and at equal style. Made for one recipe's adapters of several training
seeds. Beside them stand the base, asked as they are and cut at its first turn as they are; its first sentences, to the
reference's length; the film's own reply, and another film's. Prints markdown and publishes nothing; a killed run
carries on.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.evaluation import positive
from eval.judge.names import EMBEDDED_NAMES, full_name
from eval.report.controls import at_equal_length_and_style, style_differences
from hub.comparisons import PAIRED, PREFERRED, format_interval
from hub.errors import one_line_errors
from hub.lineage import pin, pin_model
from hub.names import Names
from hub.results_table import TITLES

if TYPE_CHECKING:
    from eval.judge.embedded import EmbeddedJudge
    from eval.rows import DialoguePair

COMPARISON_HEADER = (
    "| | preferred to {reference} | p | at equal length | at equal length, echo and punctuation | judge's score, mean "
    "| 5%, 10%, 25% quantiles | ended by itself | words, median |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)
REFERENCE = "reference"
LIKE_LENGTH = "its first sentences, to the reference's length"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the adapters, the reference, the judge and the prompts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True, help="whose dialogue dataset and base, on the Hub")
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--adapters", nargs="+", required=True, metavar="HUB_ID[@COMMIT]")
    parser.add_argument("--reference", metavar="HUB_ID[@COMMIT]", help="default: the namespace's SFT adapter")
    parser.add_argument("--judge", default="realism-held-out", help=f"{EMBEDDED_NAMES} (default: %(default)s)")
    parser.add_argument("--prompts", type=positive, default=600, help="of the test split (default: %(default)s)")
    parser.add_argument("--per-film", type=positive, default=20, help="of one film at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of prompts and replies (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"), help="default: %(default)s")
    arguments = parser.parse_args(argv)
    with one_line_errors():
        print(compare_adapters(arguments))


def compare_adapters(arguments: argparse.Namespace) -> str:
    """Answers, judges and tabulates; the table as markdown.

    Raises:
        UserError: an adapter or the judge is not there, or the dataset has no test pairs.
    """
    from chat.sampling import Sampling
    from chat.template import STOP
    from chat.variants import ModelRef, load_variants
    from eval.controls import control_replies
    from eval.judge.embedded import open_embedded
    from eval.qualify.controls import first_sentences
    from eval.responses import cut_at_turn, held_out, respond

    names = Names(arguments.namespace, arguments.size)
    reference = pin_model(arguments.reference or names.adapter("sft"))
    inputs = {REFERENCE: reference} | {f"adapter{n}": pin_model(text) for n, text in enumerate(arguments.adapters, 1)}
    base = pin(names.base, "model")
    rows = held_out(pin(names.dialogue, "dataset"), arguments.prompts, arguments.per_film, arguments.seed)
    refs = {name: ModelRef(source.repo, source.revision) for name, source in inputs.items()}
    variants = load_variants(ModelRef(base.repo, base.revision), refs)
    asked = repr((inputs, base, [row["prompt"] for row in rows], arguments.seed))
    folder = arguments.work / f"compare-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    said = respond(variants, rows, Sampling(), arguments.seed, folder, ["base", *inputs])
    judge = open_embedded(full_name(arguments.judge, names), variants)
    titles = {**TITLES, LIKE_LENGTH: f"{TITLES['base']}, {LIKE_LENGTH}"}
    titles |= {name: f"{source.repo}@{source.revision[:7]}" for name, source in inputs.items()}
    lines = [
        f"{len(rows):,} prompts of {len({row['movie_id'] for row in rows}):,} test films, seed {arguments.seed}; "
        f"judge: {judge.name}; 95% intervals by film\n",
        COMPARISON_HEADER.format(reference=titles[REFERENCE]),
    ]
    texts = {name: [cut_at_turn(reply).text for reply in own] for name, own in said.items()}
    like = [first_sentences(a, len(b.split())) for a, b in zip(texts["base"], texts[REFERENCE], strict=True)]
    texts = {"base": texts.pop("base"), LIKE_LENGTH: like, **texts}
    ended = {name: sum(reply.finish_reason == STOP for reply in own) / len(own) for name, own in said.items()}
    for name, own in {**texts, **control_replies(rows, arguments.seed)}.items():
        against = None if name == REFERENCE else texts[REFERENCE]
        lines.append(table_row(titles[name], judge, rows, own, against, ended.get(name)))
    return "\n".join(lines)


def table_row(
    title: str,
    judge: EmbeddedJudge,
    rows: list[DialoguePair],
    texts: list[str],
    against: list[str] | None,
    ended: float | None,
) -> str:
    """Row of the table: how the judge compares replies with the reference's, and what it thinks of them alone."""
    from eval.measure import films_of, score_metrics
    from eval.metrics import length_quantiles

    prompts, films = [row["prompt"] for row in rows], films_of(rows)
    alone: dict[str, Any] = score_metrics(judge.score(list(zip(prompts, texts, strict=True))), films)
    cells = preference_cells(judge, rows, texts, against) if against else ["", "", "", ""]
    cells += [
        f"{alone['judge_mean'].value:.2f}",
        ", ".join(f"{alone[key]:.2f}" for key in alone if key != "judge_mean"),
        "" if ended is None else f"{ended:.1%}",
        f"{length_quantiles(texts)[1]:g}",
    ]
    return "| " + " | ".join([title, *cells]) + " |"


def preference_cells(judge: EmbeddedJudge, rows: list[DialoguePair], texts: list[str], against: list[str]) -> list[str]:
    """Win rate with its p, and the win rates at equal length and at equal style, which say where no prompt has them.

    A tie counts as half.
    """
    from eval.measure import compare_replies, films_of, mean
    from eval.metrics import win

    compared, films = compare_replies(judge, rows, texts, against), films_of(rows)
    rate, replies = compared.preference.rate, list(zip(texts, against, strict=True))
    wins = [win(mean(both), a == b) for (a, b), both in zip(replies, compared.first_better, strict=True)]
    differences = [style_differences(row["prompt"], a, b) for row, (a, b) in zip(rows, replies, strict=True)]
    controlled = at_equal_length_and_style(wins, differences, films, preference=True)
    shown = [format_interval(one._asdict(), PAIRED[PREFERRED]) for one in (rate, *(c.estimate for c in controlled))]
    beyond = [f" (extrapolated in {', '.join(c.extrapolated)})" if c.extrapolated else "" for c in controlled]
    equal = [cell + note for cell, note in zip(shown[1:], beyond, strict=True)]
    return [shown[0], "" if rate.p_value is None else f"{rate.p_value:.4f}", *equal]


if __name__ == "__main__":
    main()
