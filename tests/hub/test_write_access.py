"""Rights and visibility, asked before the work: nothing new goes to a public repository where private was asked for."""

from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub import write_access
from hub.deploy.release import release
from hub.deploy.space import Deployment, deploy, preview_deployment
from hub.errors import UserError, explain
from hub.gguf import export as gguf
from hub.lineage import Lineage
from hub.local.tokens import add_token
from hub.model_index import model_index, publish_results
from hub.names import Names
from hub.publish import preview_publish, publish
from hub.task import Task
from hub.votes.log import VoteLog
from hub.write_access import require_no_private_source, require_write_access
from tests.support.cards import LINEAGE, adapter
from tests.support.votes import vote

CREATION = {"space": {"space_sdk": "gradio"}}
OLD, NEW = Lineage("test", {"a": 1}, ()), Lineage("test", {"a": 2}, ())


def heads(*repos: tuple[str, str]) -> list[str]:
    return [str(HfApi().repo_info(name, repo_type=type).sha) for name, type in repos]


@pytest.fixture
def repo(namespace, request):
    """A public repository of the test's type with one commit of ours, and its type."""
    type, name = request.param, f"{namespace}/open"
    publish(name, type, {"a": b"old"}, OLD, "old", **CREATION.get(type, {}))
    return name, type


PATHS = {
    "publish": lambda name, type: publish(
        name, type, {"a": b"new"}, NEW, "new", private=True, **CREATION.get(type, {})
    ),
    "dry run": lambda name, type: preview_publish(name, type, {"a": b"new"}, NEW, private=True),
    "a stage": lambda name, type: Task(name, type, NEW).done(private=True),
    "a stage's dry run": lambda name, type: Task(name, type, NEW).preview(private=True),
}


@pytest.mark.parametrize("repo", ["model", "dataset", "space"], indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_private_on_a_public_repository_is_refused_with_the_cure(repo, path):
    before = heads(repo)
    with pytest.raises(UserError) as caught:
        PATHS[path](*repo)
    assert f"{repo[1]} {repo[0]} is public" in str(caught.value)
    assert heads(repo) == before
    cure = str(caught.value).split("first: HfApi().")[1]
    eval(f"api.{cure}", {"api": HfApi()})  # what it says is what helps
    assert HfApi().repo_info(repo[0], repo_type=repo[1]).private
    PATHS[path](*repo)
    assert (heads(repo) == before) == (path != "publish")


@pytest.mark.parametrize("repo", ["dataset"], indirect=True)
def test_what_is_up_to_date_or_meant_to_be_public_goes_on(repo):
    assert Task(*repo, OLD).done(private=True) == heads(repo)[0]
    assert Task(*repo, NEW).done() is None
    assert publish(*repo, {"a": b"new"}, NEW, "new") == heads(repo)[0]


def test_a_stage_is_refused_before_it_makes_anything(namespace, tmp_path):
    from training.stage import Stage

    name = f"{namespace}/stage"
    publish(name, "model", {"a": b"old"}, OLD, "old")
    recipe = SimpleNamespace(hub=SimpleNamespace(private=True))
    made = []
    stage = Stage("m", lambda recipe: Task(name, "model", NEW), lambda *given: made.append(given), lambda *given: b"")
    for act in (stage.run, stage.preview):
        with pytest.raises(UserError, match="is public"):
            act(recipe, tmp_path)
    assert not made


def test_votes_of_a_private_log_do_not_go_to_a_public_dataset(namespace, tmp_path, capsys):
    name = f"{namespace}/votes"
    HfApi().create_repo(name, repo_type="dataset")
    log = VoteLog(name, tmp_path, private=True)
    log.add(vote(1))
    with pytest.raises(UserError, match=f"dataset {name} is public"):
        log.push()
    log.close()
    assert f"dataset {name} is public" in capsys.readouterr().out
    assert len(log.votes()) == 1
    assert not HfApi().file_exists(name, "README.md", repo_type="dataset")


def test_a_private_space_is_refused_before_its_secrets_are_set(namespace, monkeypatch):
    names = Names(namespace, "starter")
    publish(names.space, "space", {"app.py": b""}, OLD, "old", space_sdk="gradio")
    for name in ("base", "repartee-starter-sft", "repartee-starter-dpo"):
        publish(f"{namespace}/{name}", "model", {"config.json": b"{}"}, OLD, "m")
    monkeypatch.setenv("SECRET_OF_MINE", "value")
    deployment = Deployment(names, f"{namespace}/base", private=True, secrets=["SECRET_OF_MINE"])
    for act in (deploy, preview_deployment):
        with pytest.raises(UserError, match="is public"):
            act(deployment)
    assert not HfApi().get_space_secrets(names.space)
    assert not HfApi().get_space_variables(names.space)


def test_a_private_release_leaves_a_public_collection_and_the_tags_alone(namespace):
    names = Names(namespace, "starter")
    publish(names.dialogue, "dataset", {"a": b"1"}, OLD, "m")
    slug = HfApi().create_collection("Repartee", namespace=namespace).slug
    with pytest.raises(UserError, match=f"collection {slug} is public"):
        release(names, private=True)
    assert not HfApi().get_collection(slug).items
    assert not HfApi().list_repo_refs(names.dialogue, repo_type="dataset").tags
    HfApi().update_collection_metadata(slug, private=True)
    assert release(names, private=True) == "v1"


@pytest.mark.parametrize(("private", "shown"), [((True, False), False), ((True, True), True), ((False, False), True)])
def test_a_private_evaluation_stays_out_of_a_public_card(namespace, capsys, private, shown):
    evaluation, model = f"{namespace}/evaluation", f"{namespace}/model"
    publish(evaluation, "dataset", {"a": b"1"}, OLD, "m", private=private[0])
    measured = publish(model, "model", {"README.md": str(adapter()).encode()}, OLD, "m", private=private[1])
    index = model_index(model, LINEAGE.inputs[1], {"Perplexity": 48.7}, evaluation)
    assert bool(publish_results(model, measured, index, "| 48.7 |")) == shown
    assert (f"{evaluation} is private and {model} is public" in capsys.readouterr().out) != shown


@pytest.fixture
def reading(hub_data, monkeypatch):
    """Everything asks with a token that only reads."""
    token = add_token(hub_data, "guest", "read")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(token=token))


def test_a_token_that_only_reads_is_refused_at_the_start(namespace, reading):
    HfApi().create_repo(f"{namespace}/there")
    with pytest.raises(HfHubHTTPError) as caught:
        Task(f"{namespace}/there", "model", NEW).done()
    assert "write access" in str(explain(caught.value))
    with pytest.raises(UserError, match=f"dataset {namespace}/new is to be made, and the token of guest only reads"):
        Task(f"{namespace}/new", "dataset", NEW).done()
    assert not HfApi().repo_exists(f"{namespace}/new", repo_type="dataset")


def test_an_export_is_refused_before_the_model_is_loaded(namespace, reading, monkeypatch):
    monkeypatch.setattr(gguf, "gguf_task", lambda *given: Task(f"{namespace}/gguf", "model", NEW))
    monkeypatch.setattr(gguf, "write_files", lambda *given: pytest.fail("hours of work"))
    with pytest.raises(UserError, match="only reads"):
        gguf.export(Names(namespace, "starter"), "dpo", ["f16"])


def test_no_token_is_said_at_the_start(monkeypatch, namespace):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN"):
        Task(f"{namespace}/new", "model", NEW).done()


@pytest.mark.parametrize(
    ("role", "endpoint", "namespace_", "refused"),
    [
        ("write", write_access.HUB, "stranger", True),
        ("write", write_access.HUB, "me", False),
        ("write", write_access.HUB, "club", False),
        ("fineGrained", write_access.HUB, "stranger", False),  # its rights are not all told: the Hub says it later
        ("write", "http://127.0.0.1:8000", "stranger", False),  # a local Hub's namespaces belong to nobody
    ],
)
def test_on_the_hub_a_strangers_namespace_is_refused_at_the_start(
    hub_url, monkeypatch, role, endpoint, namespace_, refused
):
    told = {"name": "me", "orgs": [{"name": "club"}], "auth": {"accessToken": {"role": role}}}
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=hub_url))
    monkeypatch.setattr(HfApi, "whoami", lambda api: told)
    if refused:
        with pytest.raises(UserError, match="may write to me, club alone"):
            require_write_access(f"{namespace_}/new", "model")
    else:
        require_write_access(f"{namespace_}/new", "model")


def test_what_is_made_of_a_private_dataset_is_private_too(hub_url, namespace):
    api = HfApi()
    hidden, shown, target = (f"{namespace}/{name}" for name in ("hidden", "shown", "target"))
    api.create_repo(hidden, repo_type="dataset", private=True)
    api.create_repo(shown, repo_type="dataset")
    require_no_private_source([shown, f"{namespace}/none"], target, "dataset")
    require_no_private_source([hidden], target, "dataset", private=True)  # to be made
    with pytest.raises(UserError, match=f"{hidden} is private"):
        require_no_private_source([shown, hidden], target, "dataset")
    api.create_repo(target, repo_type="dataset")
    with pytest.raises(UserError, match="which is public"):
        require_no_private_source([hidden], target, "dataset", private=True)
    api.update_repo_settings(target, repo_type="dataset", private=True)
    require_no_private_source([hidden], target, "dataset")
