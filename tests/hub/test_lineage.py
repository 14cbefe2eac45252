"""Lineage: what is the same work, what is up to date, and the tree down to the corpus."""

import subprocess
import sys
from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import HfApi

from hub.errors import UserError, explain
from hub.lineage import Input, Lineage, published, resolve, tree, up_to_date
from hub.local import free_port
from hub.names import Names
from hub.publish import publish

CORPUS = Input("corpus", "file", "a" * 64, "a" * 64)


def lineage(stage: str = "test", inputs: tuple[Input, ...] = (CORPUS,), **settings) -> Lineage:
    return Lineage(stage, settings, inputs)


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
    assert published(name, "model", sha) == (sha, lineage(a=1))
    assert published(name, "model", "f" * 40) is None


def test_cards_and_figures_make_nothing_stale_and_weights_do(namespace):
    name = f"{namespace}/content"
    publish(name, "model", {"weights": b"w"}, lineage(), "m")
    seen = [resolve(name, "model")]
    for path in ("README.md", "figures/loss.png", "weights"):
        HfApi().upload_file(path_or_fileobj=b"changed", path_in_repo=path, repo_id=name)
        seen.append(resolve(name, "model"))
    assert len({source.revision for source in seen}) == 4
    assert seen[0].content == seen[1].content == seen[2].content != seen[3].content
    assert resolve(name, "model", seen[0].revision) == seen[0]


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


def test_the_tree_reaches_the_corpus(namespace):
    names = Names(namespace, "starter")
    data = publish(names.dialogue, "dataset", {"d": b"d"}, lineage("prepare"), "m")
    HfApi().create_repo(f"{namespace}/base")  # somebody else's: no lineage of ours
    base = resolve(f"{namespace}/base", "model")
    inputs = (base, resolve(names.dialogue, "dataset"))
    sft = publish(names.adapter("sft"), "model", {"a": b"a"}, lineage("sft", inputs), "m")
    publish(names.dialogue, "dataset", {"d": b"newer"}, lineage("prepare"), "m")  # the tree shows what was used
    expected = [
        f"model {namespace}/repartee-starter-sft@{sft}  (sft)",
        f"  model {namespace}/base@{base.revision}",
        f"  dataset {namespace}/repartee-dialogue@{data}  (prepare)",
        f"    file corpus sha256 {'a' * 64}",
    ]
    assert list(tree(names.adapter("sft"), "model")) == expected
    command = [sys.executable, "-m", "hub.lineage", names.adapter("sft")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() == expected


def test_a_tree_of_nothing_is_an_error(namespace):
    with pytest.raises(UserError, match=f"dataset {namespace}/typo"):
        list(tree(f"{namespace}/typo", "dataset"))


def test_names():
    names = Names("me", "qwen2.5-3b")
    assert [names.dialogue, names.starter, names.votes] == [
        f"me/repartee-{n}" for n in ("dialogue", "starter", "votes")
    ]
    assert (names.preferences, names.evaluation) == (
        "me/repartee-qwen2.5-3b-preferences",
        "me/repartee-qwen2.5-3b-evaluation",
    )
    assert (names.adapter("dpo"), names.space) == ("me/repartee-qwen2.5-3b-dpo", "me/repartee")
