"""The lineage page: a tree of links down to the corpus, that shows nobody what he may not see."""

import httpx2
import pytest
from huggingface_hub import HfApi, get_token

from hub.lineage import LINEAGE_FILE, Input, Lineage


def published(name: str, type: str, stage: str, *inputs: Input, private: bool = False) -> Input:
    """An artifact with a lineage; what it is to whatever is made from it."""
    api = HfApi()
    api.create_repo(name, repo_type=type, private=private)
    text = Lineage(stage, {}, inputs).to_json()
    api.upload_file(path_or_fileobj=text.encode(), path_in_repo=LINEAGE_FILE, repo_id=name, repo_type=type)
    return Input(name, type, str(api.repo_info(name, repo_type=type).sha), "c")


@pytest.fixture
def family(hub_url, namespace):
    corpus = Input("corpus <b>.zip", "file", "f" * 64, "c")
    dialogue = published(f"{namespace}/dialogue", "dataset", "prepare", corpus)
    secret = published(f"{namespace}/secret", "model", "base", private=True)
    elsewhere = Input("somebody/base", "model", "e" * 40, "c")
    sft = published(f"{namespace}/sft", "model", "sft", dialogue, secret, elsewhere)
    published(f"{namespace}/dpo", "model", "dpo", sft, dialogue)
    return dialogue, sft


def test_it_goes_down_to_the_corpus_by_links(hub_url, namespace, family):
    dialogue, sft = family
    page = httpx2.get(f"{hub_url}/{namespace}/dpo/lineage/main").text
    assert f'<a href="/{namespace}/sft/tree/{sft.revision}">' in page
    assert page.count(f'<a href="/datasets/{namespace}/dialogue/tree/{dialogue.revision}">') == 2
    assert page.count("corpus &lt;b&gt;.zip") == 2
    assert page.count("<ul>") == 4
    assert 'aria-current="page">Lineage</a>' in page
    assert httpx2.get(f"{hub_url}/datasets/{namespace}/dialogue/lineage/main").text.count("<ul>") == 1


def test_what_is_private_or_elsewhere_has_no_link_and_no_inputs(hub_url, namespace, family):
    page = httpx2.get(f"{hub_url}/{namespace}/sft/lineage/main").text
    assert f"/{namespace}/secret/tree" not in page
    assert page.count("not here") == 2
    token = get_token()
    signed = httpx2.get(f"{hub_url}/{namespace}/sft/lineage/main", headers={"Authorization": f"Bearer {token}"}).text
    assert f"/{namespace}/secret/tree" in signed
    assert httpx2.get(f"{hub_url}/{namespace}/secret/lineage/main").status_code == 401


def test_what_has_none_of_ours_says_so(hub_url, namespace):
    api, name = HfApi(), f"{namespace}/other"
    api.create_repo(name)
    said = "no <code>lineage.json</code>"
    assert said in httpx2.get(f"{hub_url}/{name}/lineage/main").text
    api.upload_file(path_or_fileobj=b'{"a": 1}', path_in_repo=LINEAGE_FILE, repo_id=name)
    assert said in httpx2.get(f"{hub_url}/{name}/lineage/main").text
    assert httpx2.get(f"{hub_url}/{name}/lineage/nowhere").status_code == 404
