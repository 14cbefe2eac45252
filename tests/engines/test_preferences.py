"""Preferences by an LLM judge, all on real servers: replies sampled, a judge qualified, pairs labelled; a SIGKILL."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from eval.qualify.card import QualificationCard
from hub.lineage import fetch_lineage
from tests.support.fault_proxy import FaultProxy

PROMPTS, IN_FLIGHT = 4, 4


@pytest.fixture
def judge(running):
    """The base's server behind a proxy that writes down what it is asked."""
    with FaultProxy(running.server("base").url.removesuffix("/v1")) as proxy:
        yield proxy


@pytest.fixture
def words(running, published, dialogue, judge):
    """Arguments of `training.preferences`: the SFT variant's server samples, the base's judges."""
    sampler = running.server("sft")
    settings = {
        "hub.namespace": published.names.namespace,
        "preferences.source": "judge", "preferences.prompts": PROMPTS, "preferences.redraws": 0,
        "preferences.qualification_pairs": 1, "preferences.min_margin": 0, "preferences.allow_disagreement": True,
        "preferences.server": sampler.url, "preferences.server_model": sampler.model,
        "judge.model": running.server("base").model, "judge.base_url": f"{judge.url}/v1",
        "judge.in_flight": IN_FLIGHT, "judge.timeout": 300,
    }  # fmt: skip
    words = ["--recipe", f"training/recipes/{published.names.size}.yaml"]
    return words + [f"{name}={str(value).lower() if value is True else value}" for name, value in settings.items()]


def kept_answers(work):
    """How many answers of the judge are on the disk."""
    if not (path := work / "judge.sqlite").exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        except sqlite3.OperationalError:  # it is being made
            return 0


def command(words):
    """A process of its own that makes the preference set."""
    return [sys.executable, "-m", "training.preferences", *words]


def label(words, log):
    """Status of a whole run."""
    with log.open("ab") as output:
        return subprocess.run(command(words), stdout=output, stderr=output, timeout=900, check=False).returncode


def test_a_weak_judge_is_refused_and_a_killed_labelling_asks_nothing_twice(published, words, judge, kind, tmp_path):
    log = tmp_path / "log"
    words += ["--work", str(tmp_path)]
    assert label(words, log) == 1
    refusal = log.read_text().splitlines()[-1]
    if not published.real:  # it says no letter at all, or has no chat template
        assert refusal.startswith("error: the judge")
        pytest.skip("the starter is refused at the first question; SmolLM2's wheel is not here")
    assert "does not qualify to label" in refusal
    qualified = kept_answers(tmp_path)
    assert qualified > 0

    words += ["preferences.allow_unqualified=true"]
    with log.open("ab") as output, subprocess.Popen(command(words), stdout=output, stderr=output) as killed:
        try:
            while kept_answers(tmp_path) < qualified + 2:
                assert killed.poll() is None, log.read_text()
                time.sleep(0.1)
        finally:
            killed.kill()
    before, questions = kept_answers(tmp_path), len(judge.asked)
    done = label(words, log)
    said = log.read_text()
    print(f"\n{kind.name}: {qualified} answers qualify it, {before - qualified} were kept of the killed run")
    print("\n".join(line for line in said.splitlines() if line.startswith(("[preferences]", "[judge]", "error:"))))
    after = kept_answers(tmp_path)
    assert before < after
    assert len(judge.asked) - questions == after - before
    assert f"[preferences] judged pairs: {PROMPTS}" in said
    if done:  # it scored no pair: that is no preference of one half, and nothing is published
        assert said.splitlines()[-1].startswith(f"error: no clear preference among {PROMPTS} judged pairs (")
        assert fetch_lineage(published.names.preferences, "dataset") is None
    else:
        facts = fetch_lineage(published.names.preferences, "dataset")[1].facts
        assert facts["counts"]["preferences"] > 0
        assert not QualificationCard.from_json(facts["qualification"]).qualified
