"""The base model as an input: `python -m training.base` publishes the starter; a Hub id is pinned to a commit."""

from __future__ import annotations

import json
from pathlib import Path

from hub.cards import model_card
from hub.errors import UserError
from hub.lineage import Input, Lineage
from hub.publish import preview_publish, publish
from hub.rights import rights_from_fact
from training.recipe import Recipe
from training.stage import CustomStage, Task, base_input, log_progress

PUBLISHED = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def publish_base(recipe: Recipe, work: Path) -> str:
    """Publishes the base where it is a local folder; returns its full commit sha in either case."""
    if not Path(recipe.model.base).is_dir():
        return base_input(recipe).revision
    made, files = starter_files(recipe)
    return made.done() or publish(
        made.repo, made.type, files, made.lineage, "Starter base model", private=recipe.hub.private
    )


def preview_base(recipe: Recipe, work: Path) -> None:
    """Shows what publishing a local base would do, or which commit of a Hub's base is taken."""
    if not Path(recipe.model.base).is_dir():
        log_progress("base", f"takes {recipe.model.base}@{base_input(recipe).revision}")
        return
    made, files = starter_files(recipe)
    preview_publish(made.repo, made.type, files, made.lineage)


def starter_files(recipe: Recipe) -> tuple[Task, dict[str, bytes | Path]]:
    """The starter as a repository, from its local folder. Raises UserError where that is not one of a model."""
    from training.data.corpus.sources import file_digest

    folder, repo = Path(recipe.model.base), recipe.names.starter
    missing = [name for name in PUBLISHED if not (folder / name).exists()]
    if missing:
        raise UserError(f"{folder} is no model folder: {', '.join(missing)} missing; make one with training.pretrain")
    weights = file_digest(folder / "model.safetensors")
    training = json.loads((folder / "training.json").read_text())
    lineage = Lineage("base", {}, (Input("starter-weights", "file", weights, weights),), facts=training)
    rights = rights_from_fact(training.get("rights"))
    files: dict[str, bytes | Path] = {name: folder / name for name in PUBLISHED}
    files["README.md"] = model_card(
        "starter",
        {**rights.license, "library_name": "transformers"},
        repo=repo,
        corpus=training["corpus"],
        training={name: value for name, value in training.items() if name not in ("corpus", "rights")},
        citations=rights.citations,
        lineage=lineage,
    ).encode()
    return Task(repo, "model", lineage), files


STAGE = CustomStage(publish_base, preview_base)
