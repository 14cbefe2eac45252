"""Evaluation steps: written, published, and read again by another judge."""

import json

import pytest

from eval.geval.criteria import CRITERIA
from eval.geval.steps import (
    PUBLISHED_STEPS,
    Rubric,
    UnwrittenSteps,
    own_rubric,
    parse_rubric,
    read_rubric,
    write_rubric,
)
from eval.judge.capabilities import Capabilities
from eval.judge.client import Client
from hub.errors import UserError
from hub.lineage import Lineage
from hub.publish import publish

RUBRIC = Rubric({name: ["Read.", "Score."] for name in CRITERIA}, "writer")


def test_steps_are_written_for_every_criterion(served, tmp_path):
    _, settings = served(model="strong")
    with Client(settings, tmp_path / "judge.sqlite", progress=False) as client:
        found = write_rubric(client, Capabilities(20, True, True, True))
    assert found.written_by == "strong"
    assert found.steps.keys() == CRITERIA.keys()
    assert found.steps["fluency"][0] == "Look at you."
    assert found.sha256 != RUBRIC.sha256


def test_a_judge_that_writes_no_steps_follows_the_published_ones_and_says_so(served, tmp_path, capsys):
    stub, settings = served(model="weak")
    stub.prose = lambda prompt, body, rng: "Sure! I can help you with that."
    with Client(settings, tmp_path / "judge.sqlite", progress=False) as client:
        found = own_rubric(client, Capabilities(20, True, True, True))
        with pytest.raises(UnwrittenSteps, match="weak does not write 5 to 7 steps for coherence"):
            write_rubric(client, Capabilities(20, True, True, True))
    assert found == parse_rubric(PUBLISHED_STEPS.read_text("utf-8"), str(PUBLISHED_STEPS))
    assert stub.calls <= 2  # one criterion is enough to know
    assert f"following the steps by the authors of Repartee ({found.sha256[:12]})" in capsys.readouterr().out


def test_the_published_steps_are_whole():
    rubric = read_rubric(str(PUBLISHED_STEPS))
    assert rubric.steps.keys() == CRITERIA.keys()
    assert all(5 <= len(steps) <= 7 for steps in rubric.steps.values())
    assert json.loads(PUBLISHED_STEPS.read_text("utf-8"))["sha256"] == rubric.sha256


def test_a_steps_file_goes_through_disk_and_hub(hub_url, namespace, tmp_path):
    path = tmp_path / "steps.json"
    path.write_text(RUBRIC.to_json())
    assert read_rubric(str(path)) == RUBRIC
    repo = f"{namespace}/rubric"
    publish(repo, "dataset", {"steps.json": path.read_bytes()}, Lineage("x", {}, ()), "m")
    assert read_rubric(repo) == RUBRIC
    assert json.loads(path.read_text())["sha256"] == RUBRIC.sha256


def test_what_is_no_steps_file_is_one_line(hub_url, namespace, tmp_path):
    path = tmp_path / "steps.json"
    path.write_text("[1]")
    with pytest.raises(UserError, match="is no steps file"):
        read_rubric(str(path))
    other = json.loads(RUBRIC.to_json())
    other["criteria"]["fluency"]["scale"] = [0, 1]
    path.write_text(json.dumps(other))
    with pytest.raises(UserError, match="for other criteria"):
        read_rubric(str(path))
    publish(f"{namespace}/empty", "dataset", {"a": b"1"}, Lineage("x", {}, ()), "m")
    for source in (f"{namespace}/empty", f"{namespace}/nothing", "no such file.json"):
        with pytest.raises(UserError, match="neither a file nor a dataset"):
            read_rubric(source)
