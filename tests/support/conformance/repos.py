"""Rows of HfApi about whole repositories, and who may see them."""

import json

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.support.conformance import Hub, row

HFAPI = "huggingface_hub"


@row(HFAPI, "HfApi.whoami", "name and role of the token; without one 401")
def whoami(hub: Hub):
    assert hub.api.whoami()["auth"]["accessToken"]["role"] == "write"
    with pytest.raises(HfHubHTTPError):
        HfApi(token="hf_wrong").whoami()


@row(HFAPI, "HfApi.create_repo", "models, datasets, Spaces; a second one is 409, or taken with `exist_ok`")
def create(hub: Hub):
    for type in ("model", "dataset", "space"):
        name = hub.repo(type)
        with pytest.raises(HfHubHTTPError) as caught:
            hub.api.create_repo(name, repo_type=type, space_sdk="gradio" if type == "space" else None)
        assert caught.value.response.status_code == 409
        assert hub.api.create_repo(name, repo_type=type, space_sdk="gradio", exist_ok=True).repo_id == name


@row(HFAPI, "HfApi.delete_repo", "it is gone; a second time only with `missing_ok`")
def delete(hub: Hub):
    name = hub.repo()
    hub.api.delete_repo(name)
    with pytest.raises(RepositoryNotFoundError):
        hub.api.delete_repo(name)
    hub.api.delete_repo(name, missing_ok=True)


@row(HFAPI, "HfApi.move_repo", "another name and namespace with the whole history; a taken name is 409")
def move(hub: Hub):
    name, new = hub.repo(a_txt="1"), f"{hub.namespace}-b/other"
    sha = hub.api.model_info(name).sha
    hub.api.move_repo(name, new)
    assert (hub.api.model_info(new).sha, hub.api.repo_exists(name)) == (sha, False)
    with pytest.raises(HfHubHTTPError) as caught:
        hub.api.move_repo(new, hub.repo(name="taken"))
    assert caught.value.response.status_code == 409


@row(HFAPI, "HfApi.duplicate_repo", "history and large files; a Space's variables, never its secrets")
def duplicate(hub: Hub):
    name = hub.repo(a_bin=b"large", b_txt="small")
    copy = hub.api.duplicate_repo(name, f"{hub.namespace}/copy")
    assert hub.api.model_info(copy.repo_id).sha == hub.api.model_info(name).sha
    space = hub.repo("space")
    hub.api.add_space_secret(space, "A", "1")
    hub.api.add_space_variable(space, "B", "2")
    hub.api.duplicate_repo(space, f"{hub.namespace}/twin", repo_type="space", private=True)
    twin = f"{hub.namespace}/twin"
    assert (hub.api.get_space_secrets(twin), list(hub.api.get_space_variables(twin))) == ({}, ["B"])
    assert hub.api.space_info(twin).private


@row(HFAPI, "HfApi.update_repo_settings", "private: a stranger is told the same as of what is not there")
def settings(hub: Hub):
    name, stranger = hub.repo("dataset"), HfApi(token=False)
    hub.api.update_repo_settings(name, private=True, repo_type="dataset")
    told = []
    for asked in (name, f"{hub.namespace}/none"):
        with pytest.raises(RepositoryNotFoundError) as caught:
            stranger.dataset_info(asked)
        told.append((caught.value.response.status_code, caught.value.server_message))
    assert told[0] == told[1] == (401, "Invalid username or password.")
    hub.api.update_repo_settings(name, private=False, repo_type="dataset")
    assert not stranger.dataset_info(name).private


@row(HFAPI, "HfApi.repo_exists, revision_exists, file_exists", "true and false, each")
def exists(hub: Hub):
    name, api = hub.repo(a_txt="1"), hub.api
    assert (api.repo_exists(name), api.repo_exists(name + "x")) == (True, False)
    assert (api.revision_exists(name, "main"), api.revision_exists(name, "v9")) == (True, False)
    assert (api.file_exists(name, "a.txt"), api.file_exists(name, "b.txt")) == (True, False)


@row(HFAPI, "HfApi.auth_check", "read and write; 404 and 401 where not")
def auth(hub: Hub):
    name = hub.repo()
    hub.api.auth_check(name)
    hub.api.auth_check(name, write=True)
    HfApi(token=False).auth_check(name)
    with pytest.raises(HfHubHTTPError):
        HfApi(token=False).auth_check(name, write=True)
    with pytest.raises(RepositoryNotFoundError):
        hub.api.auth_check(name + "x")


@row(HFAPI, "HfApi.model_info, dataset_info, space_info", "sha, tags and card of a revision; sizes of files")
def infos(hub: Hub):
    card = "---\nlicense: mit\ntags: [film]\n---\n"
    for type in ("model", "dataset", "space"):
        name = hub.repo(type, README_md=card, a_bin=b"12345")
        info = hub.api.repo_info(name, repo_type=type, files_metadata=True)
        assert info.card_data.license == "mit"
        assert {"film", "license:mit"} <= set(info.tags)
        sizes = {file.rfilename: (file.size, file.lfs and file.lfs.size) for file in info.siblings}
        assert sizes["a.bin"] == (5, 5)
        assert hub.api.repo_info(name, repo_type=type, revision=info.sha).sha == info.sha


@row(HFAPI, "HfApi.list_models", "author, search, filter by tag and base model, sort, limit, full, cardData, expand")
def list_models(hub: Hub):
    hub.repo(name="one", README_md="---\ntags: [film]\nbase_model: a/b\nbase_model_relation: adapter\n---\n")
    hub.repo(name="two", README_md="---\npipeline_tag: text-generation\n---\n")

    def ids(**query):
        return [model.id.split("/")[1] for model in hub.api.list_models(author=hub.namespace, **query)]

    assert ids(sort="created_at") in (["two", "one"], ["one", "two"])
    assert (ids(search="TW"), ids(filter="film"), ids(filter=["film", "x"])) == (["two"], ["one"], [])
    assert (ids(filter="base_model:adapter:a/b"), ids(pipeline_tag="text-generation")) == (["one"], ["two"])
    assert len(ids(limit=1)) == 1
    (full,) = hub.api.list_models(author=hub.namespace, search="one", full=True)
    assert full.sha
    assert {file.rfilename for file in full.siblings} == {".gitattributes", "README.md"}
    (card,) = hub.api.list_models(author=hub.namespace, search="one", cardData=True)
    assert (card.card_data.base_model, card.siblings) == ("a/b", None)
    (expanded,) = hub.api.list_models(author=hub.namespace, search="one", expand=["sha"])
    assert (bool(expanded.sha), expanded.tags) == (True, None)


@row(HFAPI, "HfApi.list_datasets", "author, dataset_name, license and language; private ones with a token alone")
def list_datasets(hub: Hub):
    hub.repo("dataset", "lines", README_md="---\nlicense: mit\nlanguage: [en]\n---\n")
    hub.api.create_repo(f"{hub.namespace}/hidden", repo_type="dataset", private=True)
    assert [found.id for found in hub.api.list_datasets(author=hub.namespace, language="en")] == []
    found = hub.api.list_datasets(author=hub.namespace, dataset_name="lin", filter="license:mit")
    assert [dataset.id for dataset in found] == [f"{hub.namespace}/lines"]
    assert len(list(hub.api.list_datasets(author=hub.namespace))) == 2
    assert len(list(HfApi(token=False).list_datasets(author=hub.namespace))) == 1


@row(HFAPI, "HfApi.list_spaces", "by the models and datasets that their cards name")
def list_spaces(hub: Hub):
    name = hub.repo("space", README_md="---\nsdk: gradio\nmodels: [a/b]\n---\n")
    hub.repo("space", "other")
    for query in ({"models": "a/b"}, {"linked": True}):
        assert [space.id for space in hub.api.list_spaces(author=hub.namespace, **query)] == [name]
    assert not list(hub.api.list_spaces(author=hub.namespace, datasets="a/b"))


@row(HFAPI, "HfApi.list_user_repos, get_user_overview", "how much of each there is, and its bytes")
def overview(hub: Hub):
    name = hub.repo("dataset", a_txt="12345")
    (found,) = hub.api.list_user_repos(hub.namespace)
    assert (found.id, found.type, found.visibility, found.storage > 5) == (name, "dataset", "public", True)
    assert hub.api.get_user_overview(hub.namespace).num_datasets == 1


@row(
    HFAPI, "HfApi.model_info (safetensors, config, base_models)", "parameters by type, architecture; bases by `expand`"
)
def model_facts(hub: Hub):
    header = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"format": "pt"}}
    header["b"] = {"dtype": "BF16", "shape": [5], "data_offsets": [24, 34]}
    text = json.dumps(header).encode()
    files = {"model_safetensors": len(text).to_bytes(8, "little") + text + bytes(34)}
    files["config_json"] = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "x": 1})
    name = hub.repo(**files, README_md="---\nbase_model: a/b\nbase_model_relation: adapter\n---\n")
    info = hub.api.model_info(name)
    assert (info.safetensors.parameters, info.safetensors.total) == ({"F32": 6, "BF16": 5}, 11)
    assert info.config == {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    assert info.base_models is None
    asked = hub.api.model_info(name, expand=["baseModels"]).base_models
    assert (asked["relation"], [one["id"] for one in asked["models"]]) == ("adapter", ["a/b"])
    assert hub.api.model_info(hub.repo(name="none", model_safetensors=b"no header")).safetensors is None


@row(HFAPI, "ids without regard to case", "one repository whatever the case, which is told by its own name")
def any_case(hub: Hub):
    name = hub.repo(name="Mixed", a_txt="1")
    other = name.swapcase()
    assert hub.api.model_info(other).id == name
    hub.api.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id=other)
    assert len(hub.api.list_repo_commits(name)) == 3
    with pytest.raises(HfHubHTTPError) as caught:
        hub.api.create_repo(other)
    assert caught.value.response.status_code == 409
    hub.api.delete_repo(other)
    assert not hub.api.repo_exists(name)


@row(HFAPI, "HfApi.list_repo_commits", "titles, messages and dates over several pages")
def commits(hub: Hub):
    name = hub.repo()
    for number in range(60):
        content = str(number).encode()
        hub.api.upload_file(path_or_fileobj=content, path_in_repo="a", repo_id=name, commit_message=f"c{number}")
    titles = [commit.title for commit in hub.api.list_repo_commits(name)]
    assert titles == [*(f"c{number}" for number in reversed(range(60))), "initial commit"]


@row(HFAPI, "HfApi.super_squash_history", "one commit, the same files")
def squash(hub: Hub):
    name = hub.repo(a_txt="1")
    hub.api.upload_file(path_or_fileobj=b"2", path_in_repo="b", repo_id=name)
    hub.api.super_squash_history(name, commit_message="all")
    assert [commit.title for commit in hub.api.list_repo_commits(name)] == ["all"]
    assert set(hub.api.list_repo_files(name)) == {".gitattributes", "a.txt", "b"}
