"""Lineage: what is the same work, what is up to date, and the tree down to the corpus."""

from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import HfApi

from hub.errors import UserError, explain
from hub.lineage import Input, Lineage, differences, fetch_lineage, pin, training_minutes, up_to_date
from hub.local import free_port
from hub.publish import publish
from tests.support.lineages import CORPUS, lineage


def test_the_same_work_has_the_same_fingerprint():
    work = lineage(rate=1e-4, layers=["q", "k"])
    assert lineage(layers=("q", "k"), rate=1e-4).fingerprint == work.fingerprint
    assert replace(work, facts={"minutes": 3}, code="9").fingerprint == work.fingerprint
    assert replace(work, inputs=(replace(CORPUS, revision="b" * 64),)).fingerprint == work.fingerprint
    others = [
        lineage(rate=2e-4, layers=["q", "k"]),
        lineage("other", rate=1e-4, layers=["q", "k"]),
        replace(work, inputs=(replace(CORPUS, content="b" * 64),)),
        replace(work, inputs=(replace(CORPUS, repo="elsewhere"),)),
        replace(work, inputs=(CORPUS, CORPUS)),
        replace(work, inputs=()),
    ]
    assert len({other.fingerprint for other in [work, *others]}) == 1 + len(others)


def test_written_and_read_again():
    work = replace(lineage(rate=1e-4), facts={"minutes": 3.5, "title": "Amélie"})
    assert Lineage.from_json(work.to_json()) == work


def test_up_to_date_by_settings_and_inputs(namespace):
    name = f"{namespace}/fresh"
    assert up_to_date(name, "model", lineage(a=1)) is None
    sha = publish(name, "model", {"weights": b"w"}, lineage(a=1), "m")
    assert up_to_date(name, "model", lineage(a=1)) == sha
    assert up_to_date(name, "model", lineage(a=2)) is None
    assert fetch_lineage(name, "model", sha) == (sha, lineage(a=1))
    assert fetch_lineage(name, "model", "f" * 40) is None


def test_cards_and_figures_make_nothing_stale_and_weights_do(namespace):
    name = f"{namespace}/content"
    publish(name, "model", {"weights": b"w"}, lineage(), "m")
    seen = [pin(name, "model")]
    for path in ("README.md", "figures/loss.png", "weights"):
        HfApi().upload_file(path_or_fileobj=b"changed", path_in_repo=path, repo_id=name)
        seen.append(pin(name, "model"))
    assert len({source.revision for source in seen}) == 4
    assert seen[0].content == seen[1].content == seen[2].content != seen[3].content
    assert pin(name, "model", seen[0].revision) == seen[0]


def test_a_hub_in_trouble_is_not_taken_for_nothing_published(namespace, monkeypatch):
    """Else an outage of a second would have a finished stage trained again."""
    name = f"{namespace}/outage"
    publish(name, "model", {"weights": b"w"}, lineage(), "m")
    download, dead = huggingface_hub.hf_hub_download, f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **k: download(*a, **k, endpoint=dead))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # huggingface_hub tries six times
    with pytest.raises(FileNotFoundError) as caught:
        up_to_date(name, "model", lineage())
    assert "does not answer" in str(explain(caught.value))


@pytest.mark.parametrize("text", [b'{"stage": "theirs"}', b"[]", b"no json", b'{"inputs": [1]}'])
def test_a_lineage_that_is_not_ours_is_one_line(namespace, text):
    name = f"{namespace}/theirs"
    HfApi().create_repo(name)
    HfApi().upload_file(path_or_fileobj=text, path_in_repo="lineage.json", repo_id=name)
    with pytest.raises(UserError, match=name):
        up_to_date(name, "model", lineage())


def test_why_something_is_stale():
    other = Input("ns/data", "dataset", "b" * 40, "b")
    old = lineage("sft", (CORPUS, other), sft={"rate": 1, "lora": {"r": 8}}, gone=1)
    new = lineage(
        "sft", (CORPUS, replace(other, content="c"), replace(other, repo="ns/more")), sft={"rate": 2, "lora": {"r": 8}}
    )
    assert differences(old, new) == ["sft.rate 1 -> 2", "gone 1 -> none", "ns/data has changed", "ns/more is new"]
    assert differences(old, old) == []


def test_the_minutes_of_an_adapter_hold_those_of_its_reward_model(namespace):
    sources, minutes = {}, {"sft": 2.5, "reward": 1.25, "rl": 4.0}
    for kind, taken in minutes.items():
        repo, inputs = f"{namespace}/repartee-x-{kind}", tuple(sources.values()) if kind == "rl" else ()
        publish(repo, "model", {"a": kind.encode()}, Lineage(kind, {}, inputs, facts={"minutes": taken}), "m")
        sources[kind] = pin(repo, "model")
    assert training_minutes(sources["sft"]) == 2.5
    assert training_minutes(sources["rl"]) == 5.25
    repo = f"{namespace}/plain"
    publish(repo, "model", {"a": b"x"}, Lineage("base", {}, ()), "m")
    assert training_minutes(pin(repo, "model")) is None
