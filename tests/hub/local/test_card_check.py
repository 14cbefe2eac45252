"""Card metadata: what the real Hub refuses is refused, with its words, before and with a commit."""

import pytest
from huggingface_hub import ModelCard

from hub.local.card_check import LICENSES, NO_METADATA, check_card
from hub.rights import APACHE, UNKNOWN
from tests.support.hub_http import add, post

RESULT = {"task": {"type": "t"}, "dataset": {"type": "d", "name": "D"}, "metrics": [{"type": "m", "value": 0}]}


def card(**metadata) -> str:
    import yaml

    return f"---\n{yaml.safe_dump(metadata)}---\ntext\n"


@pytest.mark.parametrize(
    "metadata",
    [
        {"license": "apache-2.0"},
        {"license": ["mit", "cc-by-4.0"], "language": ["en", "deu", "code"], "tags": ["a"]},
        {"license": "other", "license_name": "mine", "base_model": ["Qwen/Qwen2.5-3B"], "datasets": "me/d"},
        {"model-index": [{"name": "me", "results": [RESULT]}]},
        {"sdk": "whatever"},  # of a model, it says nothing
    ],
)
def test_what_is_right_passes(metadata):
    assert check_card(card(**metadata), "model") == ([], [])


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"license": "apache"}, '"license" must be one of [apache-2.0, mit, '),
        ({"license": ["mit", "Apache-2.0"]}, '"license" must be one of'),
        ({"language": "english"}, '"language[0]" must be'),
        ({"language": ["en", "EN"]}, '"language[1]" must be'),
        ({"tags": "one"}, '"tags" must be an array'),
        ({"tags": ["one", 2]}, '"tags[1]" must be a string'),
        ({"base_model": "/home/me/model"}, '"base_model" with value "/home/me/model" is not valid'),
        ({"model-index": {"name": "x"}}, '"model-index" must be an array'),
        ({"model-index": [{"results": []}]}, '"model-index[0].name" is required'),
        ({"model-index": [{"name": "x", "results": 3}]}, '"model-index[0].results" must be an array'),
        (
            {"model-index": [{"name": "x", "results": [RESULT, {**RESULT, "dataset": {"type": "d"}}]}]},
            '"model-index[0].results[1].dataset.name" is required',
        ),
        (
            {"model-index": [{"name": "x", "results": [{**RESULT, "metrics": [{"type": "m"}]}]}]},
            '"model-index[0].results[0].metrics[0].value" is required',
        ),
    ],
)
def test_what_the_real_hub_refuses(metadata, says):
    errors, warnings = check_card(card(**metadata), "model")
    assert len(errors) == 1
    assert errors[0].startswith(says)
    assert not warnings


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"sdk": "flask"}, '"sdk" must be one of [gradio'),
        ({"colorFrom": "black"}, '"colorFrom" must be one of'),
        ({"short_description": "x" * 61}, '"short_description" length'),
        ({"pinned": "yes please"}, '"pinned" must be a boolean'),
    ],
)
def test_a_space(metadata, says):
    (error,), _ = check_card(card(**metadata), "space")
    assert error.startswith(says)
    assert not check_card(card(**metadata), "dataset")[0]


def test_without_metadata_it_is_warned():
    for text in ("", "# Title", "---\nlicense: mit\n"):
        assert check_card(text, "model") == ([], [NO_METADATA])
    assert check_card("---\n- a: [\n---\n", "model")[0]


def test_our_own_licences_are_the_hubs():
    assert {APACHE["license"], UNKNOWN.license["license"], "other"} <= set(LICENSES)
    assert {"cc-by-2.5", "cc-by-nc-nd-3.0", "fair-noncommercial-research-license", "openrail++"} <= set(LICENSES)


def test_clients_are_told_before_anything_is_uploaded(api, repo, hub_url):
    with pytest.raises(ValueError, match='- Error: "license" must be one of'):
        ModelCard(card(license="beerware")).validate()
    with pytest.raises(ValueError, match=r"Invalid metadata in README.md"):
        api.upload_file(path_or_fileobj=card(license="x").encode(), path_in_repo="README.md", repo_id=repo)
    with pytest.warns(UserWarning, match=NO_METADATA):
        api.create_commit(repo, [add("README.md", b"# Title")], commit_message="no metadata")


def test_a_client_that_does_not_ask_is_refused_with_its_commit(repo, hub_url, api):
    head = api.model_info(repo).sha
    line = '{"key": "file", "value": {"path": "README.md", "content": "---\\nlicense: x\\n---\\n"}}'
    answer = post(f"{hub_url}/api/models/{repo}/commit/main", content=line)
    assert answer.status_code == 400
    assert 'Invalid metadata in README.md. "license"' in answer.json()["error"]
    assert api.model_info(repo).sha == head
    api.create_commit(repo, [add("d/README.md", b"---\nlicense: x\n---\n")], commit_message="no card")  # is below it
