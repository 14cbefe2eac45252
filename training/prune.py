"""Pruned base: `python -m training.prune --recipe FILE [prune.min_count=2] [prune.layers=3]`.

Publishes `repartee-<size>-pruned-base`, which keeps the tokens of the train films, and on it every adapter that the
family has, its layers as they are: a family of size `<size>-pruned`, for training, page, GGUF and static Space as any
other. With `prune.layers` its size is `<size>-pruned-minus<layers>`, and adapters on it are still to be trained.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chat.adapter_check import adapter_config
from chat.template import load_tokenizer
from hub.cards import model_card
from hub.lineage import Input, Lineage, fetch_lineage, pin
from hub.names import Names
from hub.rights import rights_from_fact
from training.base.pruned_base import pruned_base
from training.base.pruned_vocabulary import renumber
from training.finetune.common import adapter_card
from training.recipe import Recipe
from training.stage import Stage, Task, base_input, command, log_progress

KINDS = ("sft", "dpo", "rl")


def publish_pruned(recipe: Recipe, work: Path) -> str:
    """Publishes the pruned base, and the adapters on it; returns the base's full commit sha.

    Raises:
        UserError: the base cannot be pruned.
        chat.adapter_check.AdapterError: an adapter is more than LoRA and trained tokens.
    """
    revision = BASE.run(recipe, work)
    for stage in adapter_stages(recipe):
        stage.run(recipe, work)
    names = pruned_names(recipe)
    log_progress("prune", f"train on it with model.size={names.size} model.base={names.base} model.revision=null")
    return revision


def preview_pruned(recipe: Recipe, work: Path) -> None:
    """Prints what would be made, from what and why; makes nothing."""
    BASE.preview(recipe, work)
    if fetch_lineage(pruned_names(recipe).base, "model"):
        for stage in adapter_stages(recipe):
            stage.preview(recipe, work)


def pruned_names(recipe: Recipe) -> Names:
    """Names of the pruned family."""
    layers = f"-minus{recipe.prune.layers}" if recipe.prune.layers else ""
    return Names(recipe.names.namespace, f"{recipe.model.size}-pruned{layers}")


def base_task(recipe: Recipe) -> Task:
    """The pruned base, from the base and the dialogue dataset as they are now."""
    inputs = (base_input(recipe), pin(recipe.names.dialogue, "dataset"))
    return Task(pruned_names(recipe).base, "model", Lineage("prune", {**vars(recipe.prune)}, inputs))


def base_card(recipe: Recipe, repo: str, lineage: Lineage) -> bytes:
    """Model card of a pruned base."""
    rights = rights_from_fact(lineage.facts["rights"])
    return model_card(
        "pruned",
        {**rights.license, "library_name": "transformers", "base_model": lineage.inputs[0].repo},
        repo=repo,
        base=lineage.inputs[0].repo,
        facts={name: value for name, value in lineage.facts.items() if name != "rights"},
        settings=lineage.settings,
        citations=rights.citations,
        lineage=lineage,
    ).encode()


def adapter_stages(recipe: Recipe) -> list[Stage]:
    """A stage for each adapter that is published and can be moved; none where layers are gone.

    An adapter of the pruned family that was trained there is left as it is.
    """
    stages, names = [], pruned_names(recipe)
    for kind in () if recipe.prune.layers else KINDS:
        there = fetch_lineage(names.adapter(kind), "model")
        if there and there[1].stage != "prune":
            log_progress("prune", f"{names.adapter(kind)} was trained on the pruned base itself: left as it is")
        elif fetch_lineage(recipe.names.adapter(kind), "model"):
            stages.append(Stage("Adapter on the pruned base", partial(adapter_task, kind), pruned_adapter, moved_card))
    return stages


def adapter_task(kind: str, recipe: Recipe) -> Task:
    """An adapter of the pruned family, from the pruned base and the adapter as they are now.

    The datasets that the adapter was made from are among the inputs, for their citations.
    """
    names, adapter = pruned_names(recipe), pin(recipe.names.adapter(kind), "model")
    made = fetch_lineage(adapter.repo, adapter.type, adapter.revision)
    assert made
    datasets = (source for source in made[1].inputs if source.type == "dataset")
    inputs = (pin(names.base, "model"), adapter, *datasets)
    return Task(names.adapter(kind), "model", Lineage("prune", {"adapter": made[1].settings}, inputs))


def pruned_adapter(recipe: Recipe, base: Input, adapter: Input, *others: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Files of an adapter on the pruned base, and the facts of its training.

    Its weights are as they are, the rows of trained tokens too, whose order does not change; ids are renumbered.

    Args:
        recipe: of the family.
        base: the pruned base.
        adapter: on the whole base.
        others: datasets that it was made from, and last the work folder.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from transformers import GenerationConfig

    folder: Path = others[-1]
    pinned: dict[str, Any] = {"revision": adapter.revision}
    adapter_config(adapter.repo, adapter.repo, pinned)
    whole, pruned = load_tokenizer(adapter.repo, adapter.revision), load_tokenizer(base.repo, base.revision)
    old_ids = whole.get_vocab()
    new_ids = {old_ids[token]: new for token, new in pruned.get_vocab().items()}
    config = json.loads(Path(hf_hub_download(adapter.repo, "adapter_config.json", **pinned)).read_text("utf-8"))
    config |= {"base_model_name_or_path": base.repo, "revision": base.revision}
    if trained := config.get("trainable_token_indices"):
        config["trainable_token_indices"] = (
            {module: [new_ids[old] for old in ids] for module, ids in trained.items()}
            if isinstance(trained, dict)
            else [new_ids[old] for old in trained]
        )
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    settings: Any = GenerationConfig.from_pretrained(adapter.repo, **pinned)
    renumber(settings, new_ids)
    settings.save_pretrained(folder)
    pruned.save_pretrained(folder)
    for path in HfApi().list_repo_files(adapter.repo, **pinned):
        if path == "adapter_model.safetensors" or path.endswith(".png"):
            shutil.copy(hf_hub_download(adapter.repo, path, **pinned), folder / path)
    made = fetch_lineage(adapter.repo, adapter.type, adapter.revision)
    assert made
    return {file.name: file for file in sorted(folder.iterdir())}, made[1].facts


def moved_card(recipe: Recipe, repo: str, lineage: Lineage) -> bytes:
    """Model card of an adapter on the pruned base: that of its training, on another base."""
    family = replace(recipe, model=replace(recipe.model, size=pruned_names(recipe).size))
    return adapter_card(family, repo, replace(lineage, settings=lineage.settings["adapter"]))


BASE = Stage("Pruned base model", base_task, pruned_base, base_card)

if __name__ == "__main__":
    command(publish_pruned, __doc__, preview_pruned)
