"""Stages: what stands in no recipe is in no message, and what is up to date is not made again."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hub.lineage import Lineage, differences
from hub.task import Task
from training import stage
from training.stage import Stage


def test_a_changed_field_is_named_as_a_recipe_has_it():
    old = Lineage("dpo", {"dpo": {"trl": {"beta": 0.1}, "max_similarity": 0.9}}, ())
    new = Lineage("dpo", {"dpo": {"trl": {"beta": 0.3}, "max_similarity": 0.8}}, ())
    assert differences(old, new) == ["dpo.beta 0.1 -> 0.3", "dpo.max_similarity 0.9 -> 0.8"]
    assert "trl" in old.to_json()  # what is stored, and the fingerprint of it, stay


def test_a_stage_makes_its_card_from_the_facts_and_publishes_once(monkeypatch, tmp_path):
    lineage = Lineage("sft", {"a": 1}, ("base", "dialogue"))
    sent = []
    monkeypatch.setattr(stage, "publish", lambda *arguments, **options: sent.append(arguments) or "new")
    recipe = type("Recipe", (), {"hub": type("Hub", (), {"private": False})})

    def make(recipe, base, dialogue, folder):
        assert (base, dialogue) == ("base", "dialogue")
        assert folder.is_dir()
        (folder / "weights").write_bytes(b"w")
        return {"weights": folder / "weights"}, {"steps": 6}

    def card(recipe, repo, lineage):
        return f"{repo} {lineage.facts}".encode()

    made = Stage("SFT adapter", lambda recipe: Task("ns/sft", "model", lineage), make, card)
    monkeypatch.setattr(Task, "done", lambda task, private: None)
    monkeypatch.setattr(Lineage, "fingerprint", "f" * 40)
    assert made.run(recipe, tmp_path) == "new"
    ((repo, kind, files, told, title),) = sent
    assert (repo, kind, title, told) == ("ns/sft", "model", "SFT adapter", replace(lineage, facts={"steps": 6}))
    assert files == {"weights": tmp_path / "sft-ffffffffffff" / "weights", "README.md": b"ns/sft {'steps': 6}"}
    monkeypatch.setattr(Task, "done", lambda task, private: "old")
    assert made.run(recipe, tmp_path) == "old"
    assert len(sent) == 1


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """A stage whose publishing fails as often as `troubles` has entries; what it made, and what was sent."""
    made, sent, troubles = [], [], ["the Hub is down"]

    def publish(repo, type, files, lineage, title, private):
        if troubles:
            raise ConnectionError(troubles.pop())
        sent.append(({name: content for name, content in files.items() if name != "README.md"}, lineage.facts))
        return "new"

    def make(recipe, folder):
        made.append(folder)
        (folder / "weights").write_bytes(b"w")
        return {"sub/weights": folder / "weights"}, {"steps": len(made)}

    monkeypatch.setattr(stage, "publish", publish)
    monkeypatch.setattr(Task, "done", lambda task, private: None)
    recipe = SimpleNamespace(hub=SimpleNamespace(private=False))
    one = Stage("SFT adapter", lambda _: Task("ns/sft", "model", Lineage("sft", {}, ())), make, lambda *_: b"")
    return SimpleNamespace(run=lambda: one.run(recipe, tmp_path), made=made, sent=sent)


def test_what_could_not_be_published_is_not_made_again(failing, capsys):
    with pytest.raises(ConnectionError):
        failing.run()
    assert failing.run() == "new"
    assert len(failing.made) == 1
    assert failing.sent == [({"sub/weights": failing.made[0] / "weights"}, {"steps": 1})]
    assert "made already" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"x"), lambda file: file.unlink()])
def test_what_is_not_as_it_was_left_is_made_again(failing, damage):
    with pytest.raises(ConnectionError):
        failing.run()
    damage(failing.made[0] / "weights")
    assert failing.run() == "new"
    assert failing.sent[0][1] == {"steps": 2}


def test_of_several_processes_the_first_publishes_what_was_kept(failing, monkeypatch):
    with pytest.raises(ConnectionError):
        failing.run()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as ended:
        failing.run()
    assert (ended.value.code, failing.sent) == (0, [])
    monkeypatch.setenv("RANK", "0")
    assert failing.run() == "new"
