"""The command against a stub endpoint over HTTP and a published dataset: card, JSON, cost, people, errors."""

import json

import pyarrow as pa
import pytest

from eval.judge.stub_opinion import quality
from eval.qualify.__main__ import main
from hub.lineage import Lineage
from hub.parquet import write_tables
from hub.publish import publish
from tests.support.in_process import run_main
from tests.support.planted import film_rows

ROWS = film_rows(8, 10)
TRUE_REPLIES = {row["completion"][0]["content"] for row in ROWS}


@pytest.fixture
def dialogue(namespace, tmp_path):
    """A namespace whose dialogue dataset has validation films."""
    files, _ = write_tables({"pairs": {"validation": pa.Table.from_pylist(ROWS)}}, tmp_path)
    paths = "{split: validation, path: pairs/validation.parquet}"
    files["README.md"] = f"---\nconfigs:\n- config_name: pairs\n  data_files:\n  - {paths}\n---\n".encode()
    publish(f"{namespace}/repartee-dialogue", "dataset", files, Lineage("prepare", {}, ()), "d")
    return namespace


def flags(namespace, settings, tmp_path, *more):
    judge = ["--judge", "llm", "--model", "stub", "--base-url", settings.base_url, "--key-env", "JUDGE_KEY"]
    return ["--namespace", namespace, *judge, "--pairs", "40", "--work", str(tmp_path / "work"), *more]


def test_an_endpoint_is_qualified(dialogue, served, tmp_path):
    def opinion(text):
        return 1.0 if text in TRUE_REPLIES else 0.4 * quality(text)

    stub, settings = served(opinion=opinion, bias=0.5)
    people = tmp_path / "people.csv"
    lines = [row["prompt"][-1]["content"] for row in ROWS[:20]]
    scores = [f'"{line}","{reply}",{score}' for line in lines for reply, score in (("Yes.", 1), ("No.", 5))]
    people.write_text("\n".join(["prompt,reply,score", *scores]))
    asked = ["--price-in", "1", "--price-out", "2", "--human-scores", str(people), "--json", str(tmp_path / "c.json")]
    done = run_main(main, *flags(dialogue, settings, tmp_path, *asked))
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "c.json").read_text())
    assert card["judge"] == "stub"
    assert card["films"] == 8
    assert card["controls"]["same film"]["value"] < 0.8  # those are films' replies too: this judge cannot tell
    assert card["controls"]["truncated"]["value"] == 1.0
    assert card["unscored"]["value"] == 0.0
    assert set(card["people"]) == {"pearson", "spearman"}
    assert "for 10,000 labels" in card["cost"]
    assert "20,000 calls" in card["cost"]
    assert done.stdout.index("[qualify] stub: at most") < done.stdout.index("| shuffled |")
    calls = stub.calls
    again = run_main(main, *flags(dialogue, settings, tmp_path, *asked))
    assert again.returncode == 0
    assert stub.calls == calls  # paid for once


def test_a_budget_that_the_qualification_would_pass_is_refused_before_it_is_spent(dialogue, served, tmp_path):
    stub, settings = served()
    asked = ["--price-in", "100", "--price-out", "100", "--budget", "0.5"]
    done = run_main(main, *flags(dialogue, settings, tmp_path, *asked))
    assert done.returncode == 1
    assert "more than the budget of $0.50; raise judge.budget, or qualify on fewer pairs" in done.stderr
    assert stub.calls < 10  # the probe of its capabilities alone


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--judge", "llm"], 2, "--judge llm and --model go together"),
        (["--judge", "pmy"], 1, "no judge is called pmy; there is pmi"),
        (["--judge", "pmi", "--reference", "pmi:sft"], 1, "add --sampled"),
        (["--judge", "reward:a/b", "--sampled", "--reference", "pmi"], 1, "leave out --reference"),
        (["--judge", "pmi", "--split", "test"], 1, "has no test pairs to qualify a judge on"),
    ],
)
def test_errors_are_one_line(dialogue, arguments, status, says):
    done = run_main(main, "--namespace", dialogue, *arguments)
    assert done.returncode == status
    assert says in done.stderr.strip().splitlines()[-1]
