"""Licences and citations, inherited from what an artifact was made from."""

import pytest
from huggingface_hub import HfApi

from hub.lineage import Input, Lineage
from hub.publish import publish
from hub.rights import (
    APACHE,
    UNKNOWN,
    Citation,
    Rights,
    combine_rights,
    inherited_rights,
    license_note,
    rights_from_fact,
    rights_of_base,
)
from tests.support.cards import CITATION


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ("Qwen/Qwen2.5-0.5B", "apache-2.0"),
        ("Qwen/Qwen2.5-1.5B", "apache-2.0"),
        ("Qwen/Qwen2.5-3B", "qwen-research"),
        ("unsloth/qwen2.5-3b-bnb-4bit", "qwen-research"),
        ("Qwen/Qwen2.5-72B", "as-the-base-model"),
        ("somebody/else", "as-the-base-model"),
    ],
)
def test_an_adapter_inherits_the_licence_of_its_base(hub_url, base, licence):
    fields = rights_of_base(Input(base, "model", "b" * 40, "c")).license
    assert fields.get("license_name", fields["license"]) == licence
    assert ("license_link" in fields) == (fields["license"] == "other")


def test_rights_are_handed_on_from_a_base_of_ours(namespace):
    rights = Rights({"license": "other", "license_name": "films", "license_link": "http://films"}, (CITATION,))
    lineage = Lineage("base", {}, (), facts={"rights": rights.as_fact()})
    revision = publish(f"{namespace}/base", "model", {}, lineage, "base")
    assert rights_of_base(Input(f"{namespace}/base", "model", revision, "c")) == rights
    assert license_note(rights) == (
        "The base was trained on the Corpus of Films, and inherits what is said of it below; so does this adapter."
    )


def test_citations_come_down_through_artifacts_that_state_none(namespace):
    """A GGUF file is made from an adapter, that from a dataset which names its corpus; one that is gone names none."""
    rights = Rights({"license": "other", "license_name": "films", "license_link": "http://films"}, (CITATION,))
    data = publish(f"{namespace}/data", "dataset", {}, Lineage("prepare", {}, (), {"rights": rights.as_fact()}), "data")
    gone = Input(f"{namespace}/gone", "dataset", "a" * 40, "c")
    inputs = (gone, Input(f"{namespace}/data", "dataset", data, "c"))
    adapter = publish(f"{namespace}/sft", "model", {}, Lineage("sft", {}, inputs), "sft")
    found = inherited_rights(Input(f"{namespace}/sft", "model", adapter, "c"))
    assert found == Rights(UNKNOWN.license, (CITATION,))
    assert inherited_rights(gone) == UNKNOWN


def test_rights_of_another_s_base_are_those_of_its_card(namespace):
    api = HfApi()
    api.create_repo(f"{namespace}/theirs")
    rights = []
    for front in ("license: mit", "license: other\nlicense_name: own\nlicense_link: http://own", "license: other"):
        card = f"---\n{front}\n---\n".encode()
        revision = api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=f"{namespace}/theirs").oid
        rights.append(rights_of_base(Input(f"{namespace}/theirs", "model", revision, "c")))
    assert rights[0] == Rights({"license": "mit"})
    assert license_note(rights[0]) == "The base is under the licence `mit`, and so is this adapter."
    assert rights[1].license == {"license": "other", "license_name": "own", "license_link": "http://own"}
    assert license_note(rights[1]) == "The licence is that of [the base](http://own)."
    assert rights[2].license["license_name"] == "as-the-base-model"


def test_rights_of_several_sources_name_a_licence_only_where_they_agree():
    other = Citation("Other", "Free.", "@book{other}")
    one, two, three = Rights(APACHE, (CITATION,)), Rights(APACHE, (other, CITATION)), Rights({"license": "mit"})
    assert combine_rights([one, two]) == Rights(APACHE, (CITATION, other))
    assert combine_rights([one, three]) == Rights(UNKNOWN.license, (CITATION,))
    assert rights_from_fact(one.as_fact()) == one
    assert rights_from_fact(None) == UNKNOWN
