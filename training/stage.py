"""What every stage shares: its command line, its work folder, and one line of progress for the reader of a log."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hub.errors import one_line_errors
from hub.lineage import Lineage
from training.recipe import Recipe, load

WORK = Path(".repartee/work")


def command(
    run: Callable[[Recipe, Path], str], doc: str | None, preview: Callable[[Recipe, Path], None] | None = None
) -> None:
    """Runs one stage as a script: `--recipe FILE [--work DIR] [--dry-run] [section.key=value ...]`.

    Args:
        preview: what `--dry-run` does instead of `run`; without it there is no such option.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument(
        "--work", type=Path, default=WORK, help="checkpoints and partial results (default: %(default)s)"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="changes to the recipe, values in YAML"
    )
    if preview:
        parser.add_argument("--dry-run", action="store_true", help="make and show everything, and send nothing")
    arguments = parser.parse_args()
    with one_line_errors():
        recipe = load(arguments.recipe, arguments.overrides)
        if preview and arguments.dry_run:
            preview(recipe, arguments.work)
        else:
            run(recipe, arguments.work)


def work_folder(work: Path, lineage: Lineage) -> Path:
    """Where a killed stage finds what it had done; named by the fingerprint, so another recipe never does."""
    folder = work / f"{lineage.stage}-{lineage.fingerprint[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(stage: str, text: str) -> None:
    print(f"[{stage}] {text}", flush=True)
