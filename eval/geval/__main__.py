"""Command line of G-Eval, see `eval.geval.run`; the judge's flags are the fields of `JudgeSettings`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from eval.geval import run as stage
from eval.judge.settings import add_settings_arguments, settings_from
from hub.errors import one_line_errors
from hub.names import Names
from hub.task import log_progress


def main(argv: Sequence[str] | None = None) -> None:
    """Scores an evaluation set, or says with `--dry-run` what would be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.geval", description=stage.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", required=True, help="whose evaluation set, on the Hub")
    parser.add_argument("--size", default="starter", help="of the models (default: %(default)s)")
    parser.add_argument("--second", action="store_true", help="as the second judge, to be shown beside the first")
    parser.add_argument("--prompts", type=int, help="the first so many (default: all)")
    parser.add_argument("--work", type=Path, default=Path(".repartee/work"), help="default: %(default)s")
    parser.add_argument("--private", action="store_true", help="publish in a private repository")
    parser.add_argument("--dry-run", action="store_true", help="say what would be scored, and ask nothing")
    add_settings_arguments(parser, required=("model",))
    arguments = parser.parse_args(argv)
    try:
        settings = settings_from(arguments)
    except ValueError as error:
        parser.error(str(error))
    with one_line_errors():
        names = Names(arguments.namespace, arguments.size)
        if arguments.dry_run:
            task = stage.geval_task(names, settings, arguments.prompts, arguments.second)
            task.preview()
            items = stage.load_items(task.lineage.inputs[0], arguments.prompts)
            log_progress("geval", f"{len(items) * len(stage.CRITERIA):,} scores would be asked for")
        else:
            stage.run_geval(
                names, settings, arguments.work, arguments.prompts, arguments.private, second=arguments.second
            )


if __name__ == "__main__":
    main()
