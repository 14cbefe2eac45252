"""What the page finds on the Hub to tell of its models, and what it says where there is nothing."""

import pytest
from huggingface_hub import HfApi

from chat.variants import ModelRef
from hub.names import Names
from space.results import find_results, licence
from tests.support.stage import publish_evaluation

REVISIONS = {"base": "a" * 40}


def test_published_results_are_shown_with_their_commit(hub_url, namespace, tmp_path):
    publish_evaluation(namespace, tmp_path)
    names = Names(namespace, "starter")
    found = find_results(names, REVISIONS)
    sha = HfApi().dataset_info(names.evaluation).sha
    assert found.text.startswith("Measured on the very models that answer here")
    assert "| Reply perplexity" in found.text
    assert f"/datasets/{names.evaluation}/tree/{sha}" in found.text
    assert found.panels.count("<figure") == 8
    assert "48.7 (45.0 to 53.0)" in found.panels
    assert "The whole report" not in found.text
    assert (
        "other commits than those that answer here** (DPO)" in find_results(names, {**REVISIONS, "dpo": "d" * 40}).text
    )


def test_nothing_published_is_said(hub_url, namespace):
    found = find_results(Names(namespace, "starter"), REVISIONS)
    assert "No evaluation of these models is published yet" in found.text
    assert found.panels == ""


@pytest.mark.parametrize("content", [b"{}", b"nonsense"])
def test_what_is_no_evaluation_of_ours_is_said_too(hub_url, namespace, content):
    names = Names(namespace, "starter")
    HfApi().create_repo(names.evaluation, repo_type="dataset")
    HfApi().upload_file(
        path_or_fileobj=content, path_in_repo="lineage.json", repo_id=names.evaluation, repo_type="dataset"
    )
    assert "cannot be shown" in find_results(names, REVISIONS).text


def test_a_licence_is_that_of_the_card(hub_url, namespace):
    repo = f"{namespace}/model"
    HfApi().create_repo(repo)
    assert licence(ModelRef(repo, "main")) == "none named in its card"
    card = b"---\nlicense: other\nlicense_name: qwen-research\n---\n"
    HfApi().upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo)
    assert licence(ModelRef(repo, "main")) == "qwen-research"
    assert licence(ModelRef(f"{namespace}/nowhere", "main")) == "see its card"
