"""Rows of huggingface_hub about branches and tags."""

import pytest
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.support.conformance import Hub, row

HFAPI = "huggingface_hub"


@row(HFAPI, "HfApi.create_branch, delete_branch", "from a revision, with a slash in its name; main stays")
def branches(hub: Hub):
    name = hub.repo(a_txt="1")
    first = hub.api.list_repo_commits(name)[-1].commit_id
    hub.api.create_branch(name, branch="draft/x", revision=first)
    assert hub.api.model_info(name, revision="draft/x").sha == first
    hub.api.create_branch(name, branch="draft/x", exist_ok=True)
    hub.api.delete_branch(name, branch="draft/x")
    with pytest.raises(HfHubHTTPError):
        hub.api.delete_branch(name, branch="main")


@row(HFAPI, "HfApi.create_tag, delete_tag, list_repo_refs", "a second one is 409; there are no pull requests")
def tags(hub: Hub):
    name = hub.repo()
    hub.api.create_tag(name, tag="v1", tag_message="first")
    with pytest.raises(HfHubHTTPError):
        hub.api.create_tag(name, tag="v1")
    refs = hub.api.list_repo_refs(name, include_pull_requests=True)
    assert ([tag.name for tag in refs.tags], refs.pull_requests) == (["v1"], [])
    hub.api.delete_tag(name, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        hub.api.delete_tag(name, tag="v1")


@row(HFAPI, "HfApi.create_tag(revision=)", "a full or a short sha; a short one that nobody has is 404")
def short_tags(hub: Hub):
    name = hub.repo(a_txt="1")
    first = hub.api.list_repo_commits(name)[-1].commit_id
    hub.api.create_tag(name, tag="full", revision=first)
    hub.api.create_tag(name, tag="short", revision=first[:8])
    assert {tag.target_commit for tag in hub.api.list_repo_refs(name).tags} == {first}
    with pytest.raises(RevisionNotFoundError):
        hub.api.create_tag(name, tag="none", revision="0" * 8)


@row(HFAPI, "HfApi.create_branch, a branch below a branch", "409, as git has it")
def nested_branches(hub: Hub):
    name = hub.repo()
    for first, second in (("a", "a/b"), ("c/d", "c")):
        hub.api.create_branch(name, branch=first)
        with pytest.raises(HfHubHTTPError) as caught:
            hub.api.create_branch(name, branch=second)
        assert caught.value.response.status_code == 409
    hub.api.delete_branch(name, branch="c/d")
    hub.api.create_branch(name, branch="c")
