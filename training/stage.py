"""Stages of the pipeline: each makes one artifact from published ones, where the Hub does not have it already.

A stage finds its inputs on the Hub, pinned by commit, and leaves there what it made of them; the artifact's lineage
(inputs and settings) is the cache key. `command` is the command line that all of them have.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub.errors import one_line_errors
from hub.lineage import Input, Lineage, pin
from hub.publish import publish
from hub.task import Task, log_progress
from training.recipe import Recipe, load
from training.recipe_schema import Model

__all__ = [
    "WORK", "CustomStage", "Stage", "Task", "base_input", "command", "hub_base", "is_hub_id", "log_progress",
    "work_folder",
]  # fmt: skip

WORK = Path(".repartee/work")
Files = dict[str, Any]
"""Path in the repository to a file on this machine; a card's is its bytes."""


@dataclass(frozen=True)
class CustomStage:
    """Stage whose way of running is its own; `Stage` is the common way."""

    run: Callable[[Recipe, Path], str]
    """Recipe and work folder to the commit sha of what was made."""
    preview: Callable[[Recipe, Path], None]
    """What `--dry-run` does instead."""


@dataclass(frozen=True)
class Stage:
    """Cached build step: makes and publishes an artifact, unless the one of this very lineage is published already.

    task -> up to date? -> make(recipe, *inputs, folder) -> card -> one commit

    What was made is kept until then: where publishing failed, the next start publishes it and makes nothing again.
    """

    name: str
    """What it makes: the message of the commit."""
    task: Callable[[Recipe], Task]
    """Repository and lineage (inputs pinned by commit, settings) of what a recipe asks for."""
    make: Callable[..., tuple[Files, dict[str, Any]]]
    """Recipe, each input of the task and a work folder, to the files (paths on this machine) and the facts of the run.
    The folder is named by the fingerprint, so that a killed run finds its checkpoints there."""
    card: Callable[[Recipe, str, Lineage], bytes]
    """README.md of the recipe's repository with this lineage, facts included."""

    def run(self, recipe: Recipe, work: Path) -> str:
        """Publishes the artifact where it is not up to date, and returns its full commit sha."""
        task = self.task(recipe)
        if revision := task.done(recipe.hub.private):
            return revision
        folder = work_folder(work, task.lineage)
        record = folder.with_suffix(".json")
        if made := read_result(record):
            log_progress(task.lineage.stage, f"made already: {folder}")
            files, facts = made
        else:
            record.unlink(missing_ok=True)
            files, facts = self.make(recipe, *task.lineage.inputs, folder)
            write_result(record, files, facts)
        lineage = replace(task.lineage, facts=facts)
        files["README.md"] = self.card(recipe, task.repo, lineage)
        return publish(task.repo, task.type, files, lineage, self.name, private=recipe.hub.private)

    def preview(self, recipe: Recipe, work: Path) -> None:
        """Prints what would be made, from what and why; makes nothing."""
        self.task(recipe).preview(recipe.hub.private)


def command(
    run: Callable[[Recipe, Path], str],
    doc: str | None,
    preview: Callable[[Recipe, Path], None] | None = None,
    argv: Sequence[str] | None = None,
    estimate: Callable[[Recipe, Path], None] | None = None,
) -> None:
    """Runs one stage as a script: `--recipe FILE [--work DIR] [--private] [--dry-run] [section.key=value ...]`.

    Args:
        run: what it does: recipe and work folder to a commit sha.
        doc: the help, which is the docstring of the stage's module.
        preview: what `--dry-run` does instead of `run`; a command without it publishes nothing, and has neither option.
        argv: the arguments; None takes those of the process.
        estimate: what `--estimate` does instead of `run`; a command without it does not have the option.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument(
        "--work", type=Path, default=WORK, help="checkpoints and partial results (default: %(default)s)"
    )
    parser.set_defaults(private=False, dry_run=False, estimate=False)
    if preview:
        parser.add_argument("--private", action="store_true", help="create repositories as private: hub.private=true")
        parser.add_argument("--dry-run", action="store_true", help="show what would be made and sent, and send nothing")
    if estimate:
        parser.add_argument("--estimate", action="store_true", help="what it would take: tokens, hours, dollars, bytes")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="changes to the recipe, values in YAML"
    )
    arguments = parser.parse_intermixed_args(argv)  # an option may stand between overrides
    with one_line_errors():
        recipe = load(arguments.recipe, [*arguments.overrides, *(["hub.private=true"] if arguments.private else [])])
        if estimate and arguments.estimate:
            estimate(recipe, arguments.work)
        else:
            (preview if preview and arguments.dry_run else run)(recipe, arguments.work)


def work_folder(work: Path, lineage: Lineage) -> Path:
    """Work folder of a stage, where a killed run finds its checkpoints: named by the fingerprint of the lineage."""
    folder = work / f"{lineage.stage}-{lineage.fingerprint[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_result(record: Path, files: Files, facts: dict[str, Any]) -> None:
    """Writes down what a stage has made, for a start after one that could not publish it."""
    from training.data.corpus.sources import file_digest

    content = {path: [str(Path(file).absolute()), file_digest(file)] for path, file in files.items()}
    draft = record.with_suffix(".new")
    draft.write_text(json.dumps({"files": content, "facts": facts}))
    draft.replace(record)


def read_result(record: Path) -> tuple[Files, dict[str, Any]] | None:
    """What a stage has made, by its record; None where there is none, or where a file is not as it was left.

    Of several processes of one launch, the first publishes and the others end here.
    """
    from training.data.corpus.sources import file_digest

    if not record.exists():
        return None
    made = json.loads(record.read_text())
    files = {path: Path(file) for path, (file, _) in made["files"].items()}
    if any(not file.is_file() or file_digest(file) != made["files"][path][1] for path, file in files.items()):
        return None
    if int(os.environ.get("RANK", 0)) > 0:
        raise SystemExit(0)
    return files, made["facts"]


def base_input(recipe: Recipe) -> Input:
    """Base model pinned as a Hub repository: the recipe's id, or the one that its folder or file is published as."""
    return hub_base(recipe.model) or pin(recipe.names.base, "model")


def hub_base(model: Model) -> Input | None:
    """Base that is a Hub id, pinned; None where it is a folder or file, or a substitute stands in for it.

    Raises:
        RepositoryNotFoundError: the Hub has no such id, and the recipe names no substitute.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    if not is_hub_id(model.base):
        return None
    try:
        return pin(model.base, "model", model.revision or "main")
    except RepositoryNotFoundError:
        if not model.substitute:
            raise
        return None


def is_hub_id(base: str) -> bool:
    """Whether a recipe's base is a repository of the Hub, and no file or folder of this machine."""
    file = base.startswith("pypi:") or Path(base).suffix in (".gguf", ".whl") or Path(base).exists()
    return not file and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", base) is not None
