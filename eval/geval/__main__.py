"""Command line of G-Eval, see `eval.geval.run`; the judge's flags are the fields of `JudgeSettings`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from eval.geval import run as stage
from eval.geval.criteria import CRITERIA
from eval.judge.messages import MASS_FLOOR
from eval.judge.settings import JudgeSettings, add_settings_arguments, settings_from
from hub.errors import one_line_errors
from hub.names import Names
from hub.task import log_progress


def make_parser() -> argparse.ArgumentParser:
    """Command line of G-Eval."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.geval", description=stage.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", required=True, help="whose evaluation set, on the Hub")
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--second", action="store_true", help="as the second judge, to be shown beside the first")
    parser.add_argument("--prompts", type=int, help="the first so many (default: all)")
    parser.add_argument("--steps", help="a steps.json, or a dataset that has one (default with --second: the first's)")
    parser.add_argument("--steps-model", help="writes the steps that --model scores by (default: itself)")
    parser.add_argument("--steps-base-url", help="its address (default: --base-url)")
    parser.add_argument("--steps-key-env", help="the environment variable that holds its key (default: --key-env)")
    parser.add_argument(
        "--mass-floor",
        type=float,
        default=MASS_FLOOR,
        help="an answer of less mass on scores is unscored (default: %(default)s)",
    )
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"), help="default: %(default)s")
    parser.add_argument("--private", action="store_true", help="publish in a private repository")
    parser.add_argument("--dry-run", action="store_true", help="say what would be scored, and ask nothing")
    add_settings_arguments(parser, required=("model",))
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores an evaluation set, or says with `--dry-run` what would be asked."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        settings = settings_from(arguments)
        writer = steps_writer(arguments, settings)
    except ValueError as error:
        parser.error(str(error))
    if arguments.steps and arguments.steps_model:
        parser.error("--steps has steps already: leave --steps-model out")
    if not 0 <= arguments.mass_floor <= 1:
        parser.error(f"--mass-floor is {arguments.mass_floor}; it takes a share, 0 to 1")
    floor = arguments.mass_floor
    with one_line_errors():
        names = Names(arguments.namespace, arguments.size)
        if arguments.dry_run:
            rubric = stage.choose_rubric(names, arguments.steps, writer, arguments.second)
            task = stage.geval_task(names, settings, arguments.prompts, arguments.second, rubric, writer, floor)
            task.preview(arguments.private)
            items = stage.load_items(task.lineage.inputs[0], arguments.prompts)
            log_progress("geval", f"{len(items) * len(CRITERIA):,} scores would be asked for")
        else:
            stage.run_geval(
                names,
                settings,
                arguments.work,
                arguments.prompts,
                arguments.private,
                second=arguments.second,
                steps=arguments.steps,
                writer=writer,
                mass_floor=floor,
            )


def steps_writer(arguments: argparse.Namespace, settings: JudgeSettings) -> JudgeSettings | None:
    """Settings of the model that writes the steps; None where none is named.

    It is asked four short questions, outside of the budget: the judge's prices are not its own.
    """
    if not arguments.steps_model:
        return None
    return JudgeSettings(
        model=arguments.steps_model,
        base_url=arguments.steps_base_url or settings.base_url,
        key_env=arguments.steps_key_env or settings.key_env,
        timeout=settings.timeout,
    )


if __name__ == "__main__":
    main()
