"""One model of base and adapter: `python -m training.merge --recipe FILE dpo`.

It is published as `repartee-<size>-dpo-merged`, for servers that refuse trained tokens beside LoRA (vLLM#9280): the
adapter is added to the weights of the base, the two ChatML embeddings included, and the result is a plain bf16 model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chat.embeddings import make_room
from hub.errors import one_line_errors
from hub.lineage import Input, Lineage, pin
from training.finetune.common import adapter_card, chat_facts
from training.recipe import Recipe, load
from training.stage import WORK, Stage, Task, base_input

KINDS = ("sft", "dpo", "rl")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the adapter's kind, and what every stage takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_intermixed_args(argv)
    with one_line_errors():
        merge_stage(arguments.kind).run(load(arguments.recipe, arguments.overrides), arguments.work)


def merge_stage(kind: str) -> Stage:
    """Stage that merges the published adapter of a kind, one of `KINDS`, into its base."""
    return Stage("Merged model", partial(merge_task, kind), merged_files, adapter_card)


def merge_task(kind: str, recipe: Recipe) -> Task:
    """The merged model, from the base and the adapter as they are now."""
    inputs = (base_input(recipe), pin(recipe.names.adapter(kind), "model"))
    return Task(recipe.names.adapter(f"{kind}-merged"), "model", Lineage("merge", {"kind": kind}, inputs))


def merged_files(recipe: Recipe, base: Input, adapter: Input, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merges; returns the files to publish, and what the card tells of the chat format."""
    from transformers import AutoTokenizer

    merge(base.repo, base.revision, adapter.repo, adapter.revision, folder)
    return {path.name: path for path in folder.iterdir()}, chat_facts(AutoTokenizer.from_pretrained(folder))


def merge(base: str, base_revision: str, adapter: str, revision: str, folder: Path) -> None:
    """Writes the merged weights, tokenizer and generation config; added up in float32, stored in bf16."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    base_model = AutoModelForCausalLM.from_pretrained(base, revision=base_revision, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(adapter, revision=revision)
    make_room(base_model, tokenizer)
    model: Any = PeftModel.from_pretrained(base_model, adapter, revision=revision).merge_and_unload()
    model.generation_config = GenerationConfig.from_pretrained(adapter, revision=revision)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
