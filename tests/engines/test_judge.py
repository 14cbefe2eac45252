"""A judge that is not ours: probe, preference labels, qualification and G-Eval against real servers, end to end."""

from __future__ import annotations

import json
import math
import re

import pyarrow as pa
import pytest

from eval.geval.run import run_geval
from eval.judge.capabilities import probe
from eval.judge.client import Client
from eval.judge.comparison import compare_in_both_orders
from eval.judge.pairwise import LLMJudge
from eval.judge.settings import JudgeSettings
from eval.qualify.__main__ import main as qualify
from hub.lineage import Lineage, fetch_lineage
from hub.parquet import write_tables
from hub.publish import publish
from tests.support.answered import response_row
from tests.support.in_process import run_main
from tests.support.scenes import EXCHANGES


@pytest.fixture(scope="module")
def judged(running, published):
    """The base model as a judge: weak, and a real endpoint."""
    if not published.real:
        pytest.skip("the starter answers no question with a letter; SmolLM2's wheel is not here")
    server = running.server("base")
    return JudgeSettings(model=server.model, base_url=server.url, in_flight=4, timeout=300)


def test_the_probe_finds_what_the_server_gives(judged, kind, tmp_path):
    with Client(judged, tmp_path / "judge.sqlite", progress=False) as client:
        found = probe(client)
        print(f"\n{kind.name}: {found.summarize()}")
        assert found.alternatives == kind.logprobs
        assert found.temperature
        assert probe(client) == found


def test_a_small_preference_labelling(judged, kind, tmp_path):
    """Both orders of every pair; unscored where the letters have less than half of the probability."""
    pairs = [([{"role": "user", "content": line}], reply, "Banana banana banana.") for line, reply in EXCHANGES[:3]]
    with Client(judged, tmp_path / "judge.sqlite", progress=False) as client:
        scores = compare_in_both_orders(LLMJudge(client), pairs)
    print(f"\n{kind.name}: {scores}")
    assert len(scores) == len(pairs)
    assert all(math.isnan(value) or 0 <= value <= 1 for pair in scores for value in pair)  # unscored is not zero


def test_qualification_runs_to_its_card(judged, published, dialogue, tmp_path):
    card = tmp_path / "card.json"
    words = ["--namespace", published.names.namespace, "--size", published.names.size, "--judge", "llm"]
    words += ["--pairs", "2", "--json", str(card), "--work", str(tmp_path)]
    words += ["--model", judged.model, "--base-url", judged.base_url, "--in-flight", "4", "--timeout", "300"]
    done = run_main(qualify, *words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"qualified", done.stdout, re.IGNORECASE)
    assert json.loads(card.read_text())["judge"] == judged.model


def test_g_eval_runs_to_its_scores_by_the_published_steps(judged, published, kind, tmp_path, capsys):
    names = published.names
    rows = [
        response_row([f"L{n}"], [line], dict.fromkeys(("base", "sft", "dpo"), "Yes."))
        | {"movie_id": f"m{n}", "film_reply": reply, "shuffled_reply": "Banana."}
        for n, (line, reply) in enumerate(EXCHANGES[:2])
    ]
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, tmp_path)
    card = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    lineage = Lineage("evaluation", {"server": kind.name}, ())
    publish(names.evaluation, "dataset", {**files, "README.md": card.encode()}, lineage, "e")
    run_geval(names, judged, tmp_path, mass_floor=0.0)  # SmolLM2 gives most of the probability to words, not to scores
    facts = fetch_lineage(names.geval, "dataset")[1].facts
    said = capsys.readouterr().out
    assert facts["scored"] > 0
    assert facts["rubric"]["written_by"] in (judged.model, "the authors of Repartee")
    assert ("following the steps by the authors of Repartee" in said) == (facts["rubric"]["written_by"] != judged.model)
    print(f"\n{kind.name}: {facts['mode']}; scored {facts['scored']}, steps by {facts['rubric']['written_by']}")
