"""Evaluation steps: written, published, and read again by another judge."""

import json

import pytest

from eval.geval.criteria import CRITERIA
from eval.geval.steps import Rubric, read_rubric, write_rubric
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
