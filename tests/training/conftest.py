"""A small adapter, for tests in which what it has learned is not the point."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.models import random_adapter


@pytest.fixture(scope="session")
def tiny_adapter(tiny_base, tmp_path_factory):
    """Folder of a small random adapter of the tiny base."""
    return random_adapter(tiny_base, tmp_path_factory.mktemp("sft"), seed=1)


@pytest.fixture
def published(namespace, tiny_base, tiny_adapter, tmp_path):
    """Publishes adapters of the tiny base, as their training would; the recipe that they are of."""
    from hub.lineage import Lineage, pin
    from hub.publish import publish
    from tests.support.lineages import CORPUS
    from training.base.publish import publish_base
    from training.recipe import load
    from training.stage import base_input

    base = shutil.copytree(tiny_base, tmp_path / "base")
    shutil.copy(Path(tiny_adapter) / "tokenizer.json", base)  # of both the same, as where transformers has saved both

    def made(*kinds, **facts):
        recipe = load("training/recipes/starter.yaml", [f"hub.namespace={namespace}", f"model.base={base}"])
        names = recipe.names
        publish_base(recipe, tmp_path)
        publish(names.dialogue, "dataset", {"a.txt": b"a"}, Lineage("prepare", {"salt": 1}, (CORPUS,)), "data")
        inputs = (base_input(recipe), pin(names.dialogue, "dataset"))
        for kind in kinds:
            if kind == "dpo":
                pairs = Lineage("preferences", {}, (pin(names.adapter("sft"), "model"), inputs[1]))
                publish(names.preferences, "dataset", {"b.txt": b"b"}, pairs, "pairs")
                inputs = (inputs[0], pin(names.adapter("sft"), "model"), pin(names.preferences, "dataset"))
            files = {path.name: path for path in Path(tiny_adapter).iterdir()}
            config = json.loads(files["adapter_config.json"].read_text())
            config |= {"base_model_name_or_path": inputs[0].repo, "revision": inputs[0].revision}
            files |= {"adapter_config.json": json.dumps(config).encode(), "README.md": f"# {kind}\n".encode()}
            lineage = Lineage(kind, {kind: {"beta": 0.1}}, inputs, {"context_turns": 1, "minutes": 2.5, **facts})
            publish(names.adapter(kind), "model", files, lineage, kind)
        return recipe

    return made
