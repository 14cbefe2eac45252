"""Trained adapters into the repository: as published, all their lineage; none whose base cannot be made again."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from huggingface_hub import HfApi, hf_hub_download

from hub.errors import UserError
from hub.lineage import Lineage
from tests.support.lineages import CORPUS
from training import ship as shipping
from training.ship import RECORD, lineage_path, ship

WEIGHTS = "adapter_model.safetensors"


def here(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def test_adapters_lie_there_as_they_are_published(published, tmp_path):
    recipe = published("sft", "dpo")
    folder = tmp_path / "adapters"
    target = ship(recipe, tmp_path, folder)
    assert target == str(folder / "starter")
    record, found = json.loads((folder / "starter" / RECORD).read_text()), here(folder / "starter")
    for kind in ("sft", "dpo"):
        repo, revision = recipe.names.adapter(kind), HfApi().model_info(recipe.names.adapter(kind)).sha
        assert (record[kind]["repo"], record[kind]["revision"]) == (repo, revision)
        assert "tokenizer.json" in record[kind]["of_base"]
        there = set(HfApi().list_repo_files(repo)) - {".gitattributes"}
        assert {path for path in found if path.startswith(kind)} == {
            f"{kind}/{path}" for path in there - set(record[kind]["of_base"])
        }
        for path in (WEIGHTS, "lineage.json", "README.md", "adapter_config.json"):
            with open(hf_hub_download(repo, path), "rb") as file:
                assert found[f"{kind}/{path}"].read_bytes() == file.read(), path
    lineage = Lineage.from_json(found["dpo/lineage.json"].read_text())
    base, sft, preferences = (Lineage.from_json(found[lineage_path(source)].read_text()) for source in lineage.inputs)
    assert (base.stage, sft.stage, preferences.stage) == ("base", "sft", "preferences")
    assert Lineage.from_json(found[lineage_path(preferences.inputs[1])].read_text()).inputs == (CORPUS,)


def test_without_dpo_the_fine_tuned_one_alone(published, tmp_path):
    ship(published("sft"), tmp_path, tmp_path / "adapters")
    assert list(json.loads((tmp_path / "adapters" / "starter" / RECORD).read_text())) == ["sft"]
    assert not (tmp_path / "adapters" / "starter" / "dpo").exists()


def refused(recipe, tmp_path):
    """The one line of a refusal, which leaves what was shipped before."""
    kept = tmp_path / "adapters" / "starter" / "kept"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("before")
    with pytest.raises(UserError) as caught:
        ship(recipe, tmp_path, tmp_path / "adapters")
    assert kept.read_text() == "before"
    assert [path.name for path in kept.parents[1].iterdir() if path.name.startswith(".")] == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_more_than_the_repository_shall_hold_is_refused(published, tmp_path, monkeypatch):
    recipe = published("sft")
    other = tmp_path / "adapters" / "other" / "sft" / WEIGHTS
    other.parent.mkdir(parents=True)
    other.write_bytes(b"\0" * 24_990_000)
    assert re.search(r"would hold 25\.\d MB, of 25 MB at most", refused(recipe, tmp_path))
    shutil.rmtree(other.parents[1])
    monkeypatch.setattr(shipping, "MAX_BYTES", 10_000_000)
    ship(recipe, tmp_path, tmp_path / "adapters")
    assert not (tmp_path / "adapters" / "starter" / "kept").exists()


def test_nothing_is_published(published, tmp_path):
    recipe = published()
    assert f"no model {recipe.names.adapter('sft')} with a lineage is published" in refused(recipe, tmp_path)


def test_a_base_of_other_weights_is_refused(published, tiny_base, tmp_path):
    recipe = published("sft")
    other = shutil.copytree(tiny_base, tmp_path / "other")
    (other / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes()[:-2] + b"ab")
    line = refused(replace(recipe, model=replace(recipe.model, base=str(other))), tmp_path)
    assert "stands on weights of sha256" in line
    assert "give the recipe and overrides that it was trained by" in line


def test_a_base_without_lineage_is_refused(published, tmp_path):
    recipe = published("sft")
    api, base = HfApi(), recipe.names.base
    api.delete_repo(base)
    assert f"stands on {base}, which has no lineage" in refused(recipe, tmp_path)


def test_a_dpo_adapter_of_an_earlier_fine_tuning_is_refused(published, tmp_path):
    recipe = published("sft", "dpo")
    sft = recipe.names.adapter("sft")
    HfApi().upload_file(path_or_fileobj=b"# A better card\n", path_in_repo="README.md", repo_id=sft)
    ship(recipe, tmp_path, tmp_path / "adapters")  # a card makes no other adapter
    published("sft", steps=7)
    assert f"was not trained on {sft} as it is now" in refused(recipe, tmp_path)
