"""Addresses in what is published: the same on every Hub, port and day."""

import json
import re

import pytest
from huggingface_hub import constants

from eval.evaluation import dataset_url
from eval.geval.run import geval_task
from eval.judge.settings import JudgeSettings
from hub.cards import TEMPLATES, dataset_card, model_card, space_card
from hub.deploy.bundle import PreloadedModel
from hub.lineage import Input, Lineage
from hub.model_index import model_index, with_results
from hub.names import Names
from hub.publish import preview_publish, publish
from hub.rights import rights_of_base
from hub.votes.log import METADATA as VOTES
from tests.support.cards import ADAPTER, DATASET, LINEAGE, METADATA, PREFERENCES, adapter
from tests.support.fault_proxy import FaultProxy

PORTS = ("http://127.0.0.1:1", "http://127.0.0.1:2", "https://hub.example.org")
SPACE = {"title": "Repartee", "sdk": "gradio", "sdk_version": "6", "app_file": "app.py"}
MODELS = {name: PreloadedModel(f"ns/{name}", "a" * 40, []) for name in ("base", "sft", "dpo")}
PUBLISHED = {
    "adapter": lambda: model_card("adapter", METADATA, **ADAPTER),
    "merged": lambda: model_card("adapter", METADATA, **ADAPTER | {"kind": "sft-merged"}),
    "starter": lambda: model_card(
        "starter", METADATA, repo="ns/s", corpus="Films", training={}, citations=[], lineage=LINEAGE
    ),
    "preferences": lambda: dataset_card("preferences", DATASET, **PREFERENCES),
    "votes": lambda: dataset_card("votes", VOTES, repo="ns/votes"),
    "space": lambda: space_card(SPACE, repo="ns/space", variants=MODELS, lineage=LINEAGE),
    "results": lambda: with_results(
        str(adapter()), model_index("ns/m", LINEAGE.inputs[1], {"Hits": 0.25}, "ns/e"), dataset_url("ns/e")
    ),
}


@pytest.mark.parametrize("card", PUBLISHED)
def test_what_is_published_is_the_same_on_every_hub(monkeypatch, card):
    made = set()
    for port in PORTS:
        monkeypatch.setattr(constants, "ENDPOINT", port)
        made.add(PUBLISHED[card]())
    (text,) = made
    assert not [port for port in PORTS if port in text]


def test_no_template_knows_an_address_of_the_hub():
    for template in TEMPLATES.glob("*.jinja"):
        text = template.read_text("utf-8")
        assert not re.search(r"endpoint|https?://(127|localhost)", text, re.IGNORECASE), template.name


def test_the_licence_of_a_base_is_linked_by_the_hub_s_name(hub_url):
    rights = rights_of_base(Input("somebody/else", "model", "b" * 40, "c"))
    assert rights.license["license_link"] == "https://huggingface.co/somebody/else"


def test_a_judge_on_another_port_is_the_same_judge(namespace):
    names = Names(namespace, "starter")
    publish(names.evaluation, "dataset", {"a": b"1"}, Lineage("evaluation", {}, ()), "m")
    one, two, other = (
        geval_task(names, JudgeSettings(model="m", base_url=url), None).lineage
        for url in ("http://127.0.0.1:8000/v1", "http://127.0.0.1:9000/v1", "https://api.example.org/v1")
    )
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert "127.0.0.1" not in json.dumps(one.settings)


def test_a_dry_run_of_what_is_published_says_so_on_another_port(hub_url, namespace, monkeypatch, capsys):
    name = f"{namespace}/data"

    def files() -> dict[str, bytes]:
        return {"README.md": dataset_card("preferences", DATASET, **PREFERENCES).encode(), "a": b"1"}

    commit = publish(name, "dataset", files(), LINEAGE, "m")
    with FaultProxy(hub_url) as proxy:
        monkeypatch.setattr(constants, "ENDPOINT", proxy.url)
        preview_publish(name, "dataset", files(), LINEAGE)
    assert f"dataset {name}: holds all of it already: {commit}" in capsys.readouterr().out
