"""What every stage shares: its command line, its work folder, and one line of progress for the reader of a log."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hub.errors import one_line_errors
from hub.lineage import Input, Lineage, pin
from hub.task import Task, log_progress
from training.recipe import Recipe, load

__all__ = ["WORK", "Task", "command", "log_progress", "work_folder"]

WORK = Path(".repartee/work")


def command(
    run: Callable[[Recipe, Path], str], doc: str | None, preview: Callable[[Recipe, Path], None] | None = None
) -> None:
    """Runs one stage as a script: `--recipe FILE [--work DIR] [--private] [--dry-run] [section.key=value ...]`.

    Args:
        preview: what `--dry-run` does instead of `run`; a command without it publishes nothing, and has neither option.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument(
        "--work", type=Path, default=WORK, help="checkpoints and partial results (default: %(default)s)"
    )
    parser.set_defaults(private=False, dry_run=False)
    if preview:
        parser.add_argument("--private", action="store_true", help="create repositories as private: hub.private=true")
        parser.add_argument("--dry-run", action="store_true", help="show what would be made and sent, and send nothing")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="changes to the recipe, values in YAML"
    )
    arguments = parser.parse_intermixed_args()  # an option may stand between overrides
    with one_line_errors():
        recipe = load(arguments.recipe, [*arguments.overrides, *(["hub.private=true"] if arguments.private else [])])
        (preview if preview and arguments.dry_run else run)(recipe, arguments.work)


def work_folder(work: Path, lineage: Lineage) -> Path:
    """Where a killed stage finds what it had done; named by the fingerprint, so another recipe never does."""
    folder = work / f"{lineage.stage}-{lineage.fingerprint[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_input(recipe: Recipe) -> Input:
    """Returns the base as a pinned Hub repository: the recipe's id, or the one its local folder is published as."""
    if Path(recipe.model.base).is_dir():
        return pin(recipe.names.starter, "model")
    return pin(recipe.model.base, "model", recipe.model.revision or "main")
