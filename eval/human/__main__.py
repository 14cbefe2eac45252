"""A blind study of the variants, in three steps.

`python -m eval.human plan` says how many raters and prompts it takes; `python -m eval.human sheet --namespace NAMESPACE
--raters ann,bo --out study` writes a self-contained page for each rater from a published evaluation set, and the key
that stays here; `python -m eval.human analyse study/votes-*.csv --key study/key.json` says what they found.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from eval.human import analysis, power, sheet, sheet_votes
from eval.rows import load_responses
from hub.errors import UserError, one_line_errors
from hub.lineage import pin
from hub.names import Names
from stats.style import style_of

SHEET_VARIANTS = ("base", "sft", "dpo")


def print_plan(arguments: argparse.Namespace) -> None:
    """Power analysis: prints the power by raters and prompts."""
    first, second = arguments.shares
    if not (0 <= second < first and first + second <= 1):
        raise UserError(f"--shares {first} {second}: the larger share first, both together at most 1")
    print(f"Power to tell shares of {first:.0%} and {second:.0%} apart (two-sided test at 5%, rho {arguments.rho}):\n")
    print(power.power_table(first, second, arguments.rho))
    share = power.power(first, second, 2, 100, arguments.rho)
    needed = power.prompts_needed(first, second, 2, 0.9, arguments.rho)
    print(f"\n2 raters on 100 prompts see the difference in {share:.0%} of studies; 90% takes {needed:,} prompts.")


def make_study(arguments: argparse.Namespace) -> None:
    """Blind study: writes a sheet for each rater, and the key."""
    raters = arguments.raters.split(",")
    if strange := [rater for rater in raters if not re.fullmatch(r"[\w-]{1,40}", rater)]:
        raise UserError(f"--raters: '{strange[0]}' cannot be part of a file name; use letters, digits and hyphens")
    if len(set(raters)) < len(raters):
        raise UserError("--raters: two have one name; give each a name of their own")
    evaluation = pin(Names(arguments.namespace, arguments.size).evaluation, "dataset")
    items = load_sheet_items(evaluation.repo, evaluation.revision, arguments.prompts, arguments.controls)
    responses = load_responses(evaluation.repo, evaluation.revision, arguments.prompts)
    try:
        sheets = sheet.make_sheets(items, raters, secrets.token_hex(8), arguments.repeats)
    except ValueError as error:
        raise UserError(f"{evaluation.repo}: {error}") from error
    facts = {"evaluation": evaluation.repo, "revision": evaluation.revision, "prompts": len(items)}
    facts["films"] = {response.sheet_id: response.movie_id for response in responses}
    facts["styles"] = {
        item.id: {name: style_of(reply, item.lines) for name, reply in item.replies.items()} for item in items
    }
    for path in sheet.write_sheets(sheets, facts, arguments.out):
        print(path)
    print(f"{len(sheets.all_alike)} of {len(items)} prompts are not asked about: all variants answered alike")
    print("Send each rater their sheet and nothing else; key.json says whose reply is whose.")


def load_sheet_items(repo: str, revision: str, count: int, controls: bool = True) -> list[sheet.SheetItem]:
    """Sheet items of the first prompts of an evaluation set, which were drawn at random, with the controls' replies."""
    return [
        sheet.SheetItem(
            response.sheet_id,
            [message["content"] for message in response.prompt if message["role"] != "system"],
            {name: response.variants[name].text for name in SHEET_VARIANTS if name in response.variants}
            | (response.controls if controls else {}),
        )
        for response in load_responses(repo, revision, count)
    ]


def print_analysis(arguments: argparse.Namespace) -> None:
    """Analysis of a study: prints shares, tests and agreement, and writes them as JSON where asked to."""
    given, counts, facts = sheet_votes.read_votes(arguments.votes, arguments.key)
    print(", ".join(f"{name}: {count:,}" for name, count in counts.items()) + "\n")
    try:
        found = analysis.analyse(given, facts.pop("films", None))
    except ValueError as error:
        raise UserError(f"{error}; collect more before analysing") from error
    print("\n".join([analysis.study_table(found), *analysis.difference_lines(found)]))
    if arguments.out:
        arguments.out.write_text(json.dumps({**facts, "counts": counts, **found}, indent=2) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the study."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.human", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(required=True, metavar="plan | sheet | analyse")
    step = steps.add_parser("plan", help="power by raters and prompts")
    step.add_argument(
        "--shares",
        type=float,
        nargs=2,
        default=(0.52, 0.37),
        metavar=("P", "Q"),
        help="as expected; default: as published",
    )
    step.add_argument(
        "--rho", type=float, default=power.RHO, help="agreement of raters on one prompt (default: %(default)s)"
    )
    step.set_defaults(run=print_plan)
    step = steps.add_parser("sheet", help="write a page for each rater")
    step.add_argument("--namespace", required=True, help="whose evaluation set, on the Hub")
    step.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    step.add_argument("--raters", required=True, help="names, with commas between")
    step.add_argument("--prompts", type=int, default=300, help="the first so many (default: %(default)s)")
    step.add_argument(
        "--controls",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also the film's own reply and another film's (default: yes)",
    )
    step.add_argument("--repeats", type=float, default=0.1, help="share shown twice (default: %(default)s)")
    step.add_argument("--out", type=Path, required=True, help="a new folder")
    step.set_defaults(run=make_study)
    step = steps.add_parser("analyse", help="shares, tests and agreement")
    step.add_argument("votes", type=Path, nargs="+", help="CSV files of raters")
    step.add_argument("--key", type=Path, required=True, help="key.json of the sheets")
    step.add_argument("--out", type=Path, help="also write the findings here, as JSON")
    step.set_defaults(run=print_analysis)
    arguments = parser.parse_args(argv)
    with one_line_errors():
        arguments.run(arguments)


if __name__ == "__main__":
    main()
