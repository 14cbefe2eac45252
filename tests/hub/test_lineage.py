"""Lineage: what is the same work, what is up to date, and the tree down to the corpus."""

import subprocess
import sys
from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import HfApi

from hub.errors import UserError, explain
from hub.lineage import Input, Lineage, differences, fetch_lineage, pin, training_minutes, up_to_date
from hub.local import free_port
from hub.names import Names
from hub.publish import publish
from hub.trace import find_repo, lineage_tree
from hub.verify import verify
from tests.support import warm_hub

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


def test_the_tree_reaches_the_corpus(namespace):
    names = Names(namespace, "starter")
    data = publish(names.dialogue, "dataset", {"d": b"d"}, lineage("prepare"), "m")
    HfApi().create_repo(f"{namespace}/base")  # somebody else's: no lineage of ours
    base = pin(f"{namespace}/base", "model")
    inputs = (base, pin(names.dialogue, "dataset"))
    sft = publish(names.adapter("sft"), "model", {"a": b"a"}, lineage("sft", inputs), "m")
    publish(names.dialogue, "dataset", {"d": b"newer"}, lineage("prepare"), "m")  # the tree shows what was used
    hub = HfApi().endpoint
    expected = [
        f"model {namespace}/repartee-starter-sft@{sft}  (sft)  {hub}/{namespace}/repartee-starter-sft/tree/{sft}",
        f"  model {namespace}/base@{base.revision}  {hub}/{namespace}/base/tree/{base.revision}",
        f"  dataset {namespace}/repartee-dialogue@{data}  (prepare)"
        f"  {hub}/datasets/{namespace}/repartee-dialogue/tree/{data}",
        f"    file corpus sha256 {'a' * 64}",
    ]
    assert list(lineage_tree(names.adapter("sft"), "model")) == expected
    command = [sys.executable, "-m", "hub.lineage", names.adapter("sft")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() == expected


def test_a_name_is_found_whatever_its_type(hub_url):
    from huggingface_hub import whoami

    own = whoami()["name"]
    publish(f"{own}/found-dataset", "dataset", {"d": b"d"}, lineage(), "m")
    assert find_repo("found-dataset") == find_repo(f"{own}/found-dataset") == (f"{own}/found-dataset", "dataset")
    with pytest.raises(UserError, match="check the name"):
        find_repo("found-nowhere")


def test_why_something_is_stale():
    other = Input("ns/data", "dataset", "b" * 40, "b")
    old = lineage("sft", (CORPUS, other), sft={"rate": 1, "lora": {"r": 8}}, gone=1)
    new = lineage(
        "sft", (CORPUS, replace(other, content="c"), replace(other, repo="ns/more")), sft={"rate": 2, "lora": {"r": 8}}
    )
    assert differences(old, new) == ["sft.rate 1 -> 2", "gone 1 -> none", "ns/data has changed", "ns/more is new"]
    assert differences(old, old) == []


@pytest.fixture
def family(namespace):
    """An adapter made from a base of somebody else's and a dataset, which was made from a file."""
    publish(f"{namespace}/data", "dataset", {"d.parquet": b"d", "README.md": b"# D"}, lineage("prepare"), "m")
    HfApi().create_repo(f"{namespace}/base")
    HfApi().upload_file(path_or_fileobj=b"w", path_in_repo="w.safetensors", repo_id=f"{namespace}/base")
    inputs = (pin(f"{namespace}/base", "model"), pin(f"{namespace}/data", "dataset"))
    publish(f"{namespace}/adapter", "model", {"a": b"a"}, lineage("sft", inputs), "m")
    return namespace


def test_what_is_true_verifies(family):
    lines = list(verify(f"{family}/adapter", "model"))
    assert all(right for right, _ in lines)
    assert [line.split("@")[0] for _, line in lines] == [
        f"model {family}/adapter",
        f"model {family}/base",
        f"dataset {family}/data",
        "file corpus",
    ]


def test_what_is_not_true_is_named(family, monkeypatch):
    base, data = pin(f"{family}/base", "model"), pin(f"{family}/data", "dataset")
    cases = {
        "its content is not the one": (replace(base, content="f" * 64), data),
        "it is not there": (replace(base, revision="e" * 40), data),
    }
    for said, inputs in cases.items():
        publish(f"{family}/adapter", "model", {"a": b"a"}, lineage("sft", inputs), "m")
        wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
        assert len(wrong) == 1
        assert said in wrong[0]
        assert f"{family}/base@" in wrong[0]
    forged = lineage("sft", (base, data)).to_json().replace('"stage": "sft"', '"stage": "dpo"')
    HfApi().upload_file(path_or_fileobj=forged.encode(), path_in_repo="lineage.json", repo_id=f"{family}/adapter")
    wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
    assert len(wrong) == 1
    assert "fingerprint" in wrong[0]
    download = huggingface_hub.hf_hub_download

    def damaged(repo, path, **options):
        file = download(repo, path, **options)
        if path == "d.parquet":
            with open(file, "wb") as content:
                content.write(b"rotten")
        return file

    publish(f"{family}/adapter", "model", {"a": b"a"}, lineage("sft", (base, data)), "m")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", damaged)
    wrong = [line for right, line in verify(f"{family}/adapter", "model") if not right]
    assert len(wrong) == 1
    assert "d.parquet not as the Hub says" in wrong[0]


def test_the_verify_command_ends_in_one_line(family, tmp_path):
    done = warm_hub.run(warm_hub.LINEAGE, "--verify", f"{family}/adapter", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nok    ") == 4
    HfApi().delete_repo(f"{family}/base")
    done = warm_hub.run(warm_hub.LINEAGE, "--verify", f"{family}/adapter", folder=tmp_path)
    assert done.returncode == 1
    assert "WRONG model" in done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_tree_of_nothing_is_an_error(namespace):
    with pytest.raises(UserError, match=f"dataset {namespace}/typo"):
        list(lineage_tree(f"{namespace}/typo", "dataset"))


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
