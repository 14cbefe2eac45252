"""A base that is no repository of the Hub becomes one, once; a Hub id is taken as it is."""

from dataclasses import replace

import pytest
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError

from hub.lineage import fetch_lineage
from training.base.publish import preview_base, publish_base
from training.recipe import load
from training.stage import base_input

STARTER = "training/recipes/starter.yaml"


@pytest.fixture
def recipe(namespace):
    made = load(STARTER, [f"hub.namespace={namespace}", "model.size=tiny"])
    return lambda **model: replace(made, model=replace(made.model, **model))


def test_a_wheel_stands_in_for_a_hub_id_until_the_hub_has_it(recipe, wheel, namespace, tmp_path, tiny_base, capsys):
    made = recipe(base=f"{namespace}/original", substitute=str(wheel), license="apache-2.0")
    preview_base(made, tmp_path)
    assert "would make model" in capsys.readouterr().out
    sha = publish_base(made, tmp_path)
    out = capsys.readouterr().out
    assert f"has no {namespace}/original; {wheel} stands in for it" in out
    repo = f"{namespace}/repartee-tiny-base"
    assert (base_input(made).repo, base_input(made).revision) == (repo, sha)
    assert publish_base(made, tmp_path) == sha
    assert "up to date" in capsys.readouterr().out
    card = ModelCard.load(hf_hub_download(repo, "README.md"))
    assert (card.data.license, card.data.base_model) == ("apache-2.0", f"{namespace}/original")
    assert "tiny.F32.gguf" in card.content
    _, lineage = fetch_lineage(repo, "model")
    assert lineage.inputs[0].type == "file"
    assert lineage.inputs[0].revision in card.content
    api = HfApi()
    api.create_repo(f"{namespace}/original")
    original = api.upload_folder(repo_id=f"{namespace}/original", folder_path=tiny_base).oid
    assert publish_base(made, tmp_path) == original
    assert base_input(made).repo == f"{namespace}/original"


def test_a_hub_id_without_substitute_that_is_not_there(recipe, namespace, tmp_path):
    with pytest.raises(RepositoryNotFoundError):
        publish_base(recipe(base=f"{namespace}/nothing"), tmp_path)


def test_a_folder_has_its_own_repository(recipe, tiny_base, tmp_path, capsys):
    preview_base(recipe(base=str(tiny_base)), tmp_path)
    assert "model.safetensors" in capsys.readouterr().out
    sha = publish_base(recipe(base=str(tiny_base)), tmp_path)
    assert base_input(recipe(base=str(tiny_base))).revision == sha
    assert publish_base(recipe(base=str(tiny_base)), tmp_path) == sha
