"""Pinned models: full commits from the Hub, or from the cache while it is down."""

from __future__ import annotations

import json

import pytest

from chat.variants import ModelRef
from hub.errors import UserError
from space.pinned_models import PinnedModels, find_models
from space.settings import Settings


def publish(repo: str, **config: object) -> str:
    """Put a repository with nothing but its configuration on the Hub; returns its commit."""
    from huggingface_hub import CommitOperationAdd, HfApi

    HfApi().create_repo(repo)
    name = "adapter_config.json" if config else "config.json"
    added = [CommitOperationAdd(name, json.dumps(config).encode())]
    return HfApi().create_commit(repo, added, commit_message="add").oid


def test_models_are_pinned_to_full_commits(hub_url, namespace):
    base = f"{namespace}/repartee-starter"
    first, second = publish(base), publish(f"{namespace}/other")
    names = {kind: f"{namespace}/repartee-starter-{kind}" for kind in ("sft", "dpo")}
    shas = {kind: publish(repo, base_model_name_or_path=base) for kind, repo in names.items()}
    adapters = {kind: ModelRef(repo, shas[kind]) for kind, repo in names.items()}
    assert find_models(Settings(namespace)) == PinnedModels(ModelRef(base, first), adapters)
    other = find_models(Settings(namespace, base=f"{namespace}/other"))
    assert other.base == ModelRef(f"{namespace}/other", second)


def test_the_base_is_the_commit_that_the_adapters_were_trained_on(hub_url, namespace):
    from huggingface_hub import CommitOperationAdd, HfApi

    base = f"{namespace}/repartee-starter"
    trained_on = publish(base)
    HfApi().create_commit(base, [CommitOperationAdd("later", b"later")], commit_message="later")
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=base, revision=trained_on)
    assert find_models(Settings(namespace)).revisions["base"] == trained_on


def test_adapters_on_two_bases_are_refused(hub_url, namespace):
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=f"{namespace}/base-{kind}")
    with pytest.raises(UserError, match=r"base-dpo, .*base-sft"):
        find_models(Settings(namespace))


def test_the_hub_may_be_down_where_the_models_are_in_the_cache(hub_url, namespace, monkeypatch):
    import httpx2
    from huggingface_hub import HfApi

    base = f"{namespace}/repartee-starter"
    publish(base)
    for kind in ("sft", "dpo"):
        publish(f"{namespace}/repartee-starter-{kind}", base_model_name_or_path=base)
    settings = Settings(namespace)
    before = find_models(settings)
    assert before.hub_is_down == ""

    def down(*arguments, **options):
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(HfApi, "model_info", down)
    after = find_models(settings)
    assert (after.base, after.adapters, after.revisions) == (before.base, before.adapters, before.revisions)
    assert "does not answer (refused)" in after.hub_is_down
    with pytest.raises(UserError, match="nobody-was-here/repartee-starter-sft is not in the cache"):
        find_models(Settings("nobody-was-here"))


def test_without_a_dpo_adapter_base_and_fine_tuned_model_answer(hub_url, namespace, monkeypatch, capsys):
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    base, dpo = f"{namespace}/repartee-starter", f"{namespace}/repartee-starter-dpo"
    trained_on = publish(base)
    sft = publish(f"{namespace}/repartee-starter-sft", base_model_name_or_path=base, revision=trained_on)
    found = find_models(Settings(namespace))
    assert found.revisions == {"base": trained_on, "sft": sft}
    assert f"{dpo} is not there" in capsys.readouterr().out
    with pytest.raises(RepositoryNotFoundError):
        find_models(Settings(namespace, dpo_revision="main"))

    def down(*arguments, **options):
        raise httpx2.ConnectError("refused")

    with monkeypatch.context() as broken:
        broken.setattr(HfApi, "model_info", down)
        assert find_models(Settings(namespace)).revisions == found.revisions
        with pytest.raises(UserError, match="-dpo is not in the cache"):
            find_models(Settings(namespace, dpo_revision="main"))
    publish(dpo, base_model_name_or_path=base)
    assert set(find_models(Settings(namespace)).adapters) == {"sft", "dpo"}
    HfApi().delete_repo(dpo)  # and of another Hub of this machine the cache may have one too
    assert find_models(Settings(namespace)).revisions == found.revisions


def test_an_adapter_that_names_no_base_is_one_line(hub_url, namespace):
    publish(f"{namespace}/repartee-starter-sft", peft_type="LORA")
    publish(f"{namespace}/repartee-starter-dpo", base_model_name_or_path=None)
    with pytest.raises(UserError, match=r"repartee-starter-sft's adapter_config\.json names no base"):
        find_models(Settings(namespace, base=f"{namespace}/other"))
