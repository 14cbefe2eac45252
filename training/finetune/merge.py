"""One model of base and adapter: `python -m training.merge --recipe FILE dpo`.

It is published as `repartee-<size>-dpo-merged`, for servers that refuse trained tokens beside LoRA (vLLM#9280): the
adapter is added to the weights of the base, the two ChatML embeddings included, and the result is a plain bf16 model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hub.errors import one_line_errors
from hub.lineage import Lineage, pin
from hub.publish import publish
from training.finetune.common import adapter_card
from training.recipe import Recipe, load
from training.stage import WORK, Task, base_input, work_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["sft", "dpo", "rl"])
    parser.add_argument("--recipe", type=Path, default=Path("training/recipes/starter.yaml"))
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_intermixed_args()
    with one_line_errors():
        run(load(arguments.recipe, arguments.overrides), arguments.kind, arguments.work)


def run(recipe: Recipe, kind: str, work: Path) -> str:
    """Publishes the merged model and returns its full commit sha."""
    base, adapter = base_input(recipe), pin(recipe.names.adapter(kind), "model")
    made = Task(recipe.names.adapter(f"{kind}-merged"), "model", Lineage("merge", {"kind": kind}, (base, adapter)))
    if revision := made.done():
        return revision
    folder = work_folder(work, made.lineage)
    merge(base.repo, base.revision, adapter.repo, adapter.revision, folder)
    files: dict[str, Any] = {path.name: path for path in folder.iterdir()}
    files["README.md"] = adapter_card(recipe, made.repo, f"{kind}-merged", base, made.lineage)
    return publish(made.repo, "model", files, made.lineage, "Merged model", private=recipe.hub.private)


def merge(base: str, base_revision: str, adapter: str, revision: str, folder: Path) -> None:
    """Writes the merged weights, tokenizer and generation config; added up in float32, stored in bf16."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    plain = AutoModelForCausalLM.from_pretrained(base, revision=base_revision, dtype=torch.float32)
    model: Any = PeftModel.from_pretrained(plain, adapter, revision=revision).merge_and_unload()
    model.generation_config = GenerationConfig.from_pretrained(adapter, revision=revision)
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(adapter, revision=revision).save_pretrained(folder)


if __name__ == "__main__":
    main()
