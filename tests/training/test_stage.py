"""Stages: what stands in no recipe is in no message, and what is up to date is not made again."""

from dataclasses import replace

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
        return {"weights": b"w"}, {"steps": 6}

    def card(recipe, repo, lineage):
        return f"{repo} {lineage.facts}".encode()

    made = Stage("SFT adapter", lambda recipe: Task("ns/sft", "model", lineage), make, card)
    monkeypatch.setattr(Task, "done", lambda task: None)
    monkeypatch.setattr(Lineage, "fingerprint", "f" * 40)
    assert made.run(recipe, tmp_path) == "new"
    ((repo, kind, files, told, title),) = sent
    assert (repo, kind, title, told) == ("ns/sft", "model", "SFT adapter", replace(lineage, facts={"steps": 6}))
    assert files == {"weights": b"w", "README.md": b"ns/sft {'steps': 6}"}
    monkeypatch.setattr(Task, "done", lambda task: "old")
    assert made.run(recipe, tmp_path) == "old"
    assert len(sent) == 1
