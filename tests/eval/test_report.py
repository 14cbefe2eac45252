"""The report: what speaks for whom, what is left at equal length, and that what is published of it is found again."""

import csv
import json
import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub import DatasetCard, HfApi, ModelCard

from eval import geval, show
from eval.evaluation import push_results
from eval.human import sheet, votes
from eval.human.votes import Vote
from eval.report import judges, tables
from eval.report.__main__ import make, publish
from eval.report.evidence import at_equal_length, preferred, weigh
from eval.report.gather import Heard, Judged, Material, gather
from hub import results
from hub.errors import UserError
from hub.figures import ROWS, table
from hub.lineage import Input, Lineage, resolve
from hub.names import Names
from hub.publish import publish as publish_files
from hub.tables import write_tables
from space.published import find_results

ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75}
VOICES = ("base", "sft", "dpo")
HOSTILE = "<img src=x onerror=\"document.title='gone'\">"
FACTS = {
    "prompts": 60,
    "films": 30,
    "candidates": 20,
    "voices": {voice: dict.fromkeys(ROWS, ESTIMATE) for voice in VOICES},
    "film": {"distinct_1": ESTIMATE},
    "paired": {"dpo - sft": {"hits_pmi": {"difference": ESTIMATE, "p_value": 0.04}}},
    "judge": "PMI under the base model",
    "preferred": {"dpo over sft": {"rate": ESTIMATE, "ties": 0.1, "p_value": 0.2}},
}


def answered(place: int) -> dict:
    """DPO hits more often, and its replies are longer by one word; one reply of each kind that says nothing."""
    texts = {"base": f"base {place}", "sft": f"sft {place}", "dpo": f"dpo well {place}"}
    if place < 2:
        texts = {"base": "", "sft": "  ", "dpo": HOSTILE}
    return {
        "prompt": [{"role": "system", "content": "Answer."}, {"role": "user", "content": f"Line {place}?"}],
        "film_reply": f"Film {place}.",
        "movie_id": f"m{place // 2}",
        "movie_title": f"film {place // 2}",
        "line_ids": [f"L{place}", f"L{place + 1}"],
        **{
            voice: {
                "text": texts[voice],
                "hit_pmi": place % {"base": 5, "sft": 3, "dpo": 2}[voice] == 0,
                "film_reply_nats": 12.0 - VOICES.index(voice) + (place % 4),
            }
            for voice in VOICES
        },
        "first_better": {"sft over base": [0.6, 0.6], "dpo over sft": [0.7, 0.7] if place % 3 else [0.2, 0.4]},
    }


def planted(text: str) -> float:
    """DPO's replies are better; of base and SFT the one is better in every other film, the other in the rest."""
    voice, *_, place = text.split()
    if voice not in VOICES:
        return 0.1 if "img" in text else 0.3
    swing = 0.1 if int(place) // 2 % 2 else -0.1
    return {"base": 0.5 + swing, "sft": 0.5 - swing, "dpo": 0.8}[voice]


@pytest.fixture
def names(hub_url, namespace, tmp_path):
    """An evaluation set as it is published, on models that are on the Hub."""
    found = Names(namespace, "starter")
    repos = (found.starter, found.adapter("sft"), found.adapter("dpo"))
    card = f"---\nlicense: mit\n---\n{results.BEGIN}\n{results.END}\n".encode()
    for repo in repos:
        publish_files(repo, "model", {"README.md": card, "weights": repo.encode()}, Lineage("x", {}, ()), "m")
    publish_files(found.dialogue, "dataset", {"d": b"d"}, Lineage("prepare", {}, ()), "d")
    inputs = (*(resolve(repo, "model") for repo in repos), resolve(found.dialogue, "dataset"))
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist([answered(n) for n in range(60)])}}, tmp_path)
    head = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    files["metrics.png"] = b"\x89PNG"
    files["README.md"] = f"{head}{results.BEGIN}\nold\n{results.END}\n".encode()
    publish_files(found.evaluation, "dataset", files, Lineage("evaluation", {"seed": 1}, inputs, FACTS), "e")
    return found


@pytest.fixture
def study(names, tmp_path):
    """Sheets of two raters, filled in: DPO is chosen in two of three, one row is cut off, one rater votes twice."""
    evaluation = resolve(names.evaluation, "dataset")
    items = [
        sheet.Item("-".join(row["line_ids"]), ["?"], {voice: row[voice]["text"] for voice in VOICES})
        for row in map(answered, range(40))
    ]
    made = sheet.make(items, ["ann", "bo"], "seed", repeats=0.1)
    *_, key = sheet.write(made, {"evaluation": evaluation.repo, "revision": evaluation.revision}, tmp_path / "study")
    rows = []
    for number, (shown, entry) in enumerate(made.key.items()):
        wanted = "dpo" if number % 3 else "sft"
        choice = next(place for place, own in enumerate(entry["voices"], 1) if wanted in own)
        rows.append([entry["rater"], shown, str(choice), "1"])
    rows += [rows[0], rows[1][:2]]
    path = tmp_path / "votes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([votes.COLUMNS, *rows])
    return path, key


# ---- arithmetic


def test_at_equal_length_a_difference_that_is_length_alone_is_gone():
    chance = np.random.default_rng(4)
    longer = chance.normal(0.5, 0.4, 600)
    films = [str(n // 6) for n in range(600)]
    alone = at_equal_length((0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert alone.low < 0 < alone.high
    true = at_equal_length((0.3 + 0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert true.low < 0.3 < true.high
    assert true.low > 0


def test_at_equal_length_is_the_intercept_of_a_least_squares_line():
    x, y = [0.1, 0.5, -0.3, 0.9, 0.2], [1.0, 2.0, 0.5, 2.2, 1.4]
    assert at_equal_length(y, x, list("abcde")).value == pytest.approx(np.polyfit(x, y, 1)[1])
    assert at_equal_length([1.0, 3.0], [0.2, 0.2], ["a", "b"]).value == 2.0  # nothing to tell length from


def test_preferences_count_both_orders_and_ties_as_half():
    row = {"first_better": {"a over b": [0.9, 0.2]}, "a": {"text": "x"}, "b": {"text": "y"}}
    assert preferred([row], "a", "b").first == [1.0]
    assert preferred([row | {"b": {"text": "x"}}], "a", "b").first == [0.5]
    assert preferred([row | {"first_better": {"a over b": [0.4, 0.6]}}], "a", "b") == ([0.5], [0.5], None)
    assert math.isnan(preferred([row | {"first_better": {}}], "a", "b").first[0])


# ---- the page


def test_a_report_of_everything(names, study, served, tmp_path, capsys):
    for model, second in (("one", False), ("two", True)):
        _, settings = served(opinion=planted, model=model)
        geval.run(names, settings, tmp_path, second=second)
    made = gather(names, [study[0]], study[1])
    report = make(made, tmp_path / "out")
    by = {(one["measure"], one["pair"]): one for one in report.results["evidence"]}
    for judge in ("one", "two"):
        assert by[f"G-Eval by {judge}", "dpo - sft"]["verdict"] == "better"
        assert by[f"G-Eval by {judge}", "sft - base"]["verdict"] == "open"
    assert by["Loss on the films' replies", "dpo - sft"]["difference"]["value"] == pytest.approx(-60 / 470)
    assert by["Chosen by raters", "dpo - sft"]["verdict"] == "better"
    assert by["Hits@1/20 by PMI", "dpo - sft"]["equal_length"] is None
    page = report.files["report.html"].read_text()
    assert page.count('src="data:image/png;base64,iVBOR') == 4  # means, two distributions, metrics
    for words in (
        "How far the two judges agree",
        "How far one agrees with the raters",
        "Gained most",
        "(says nothing)",
    ):
        assert words in page
    assert HOSTILE not in page
    assert '<td>raters: replaced by a later vote</td>\n<td style="text-align:right">1</td>' in page
    assert '<td>raters: not a choice</td>\n<td style="text-align:right">1</td>' in page
    assert '<td>empty replies of fine-tuned</td>\n<td style="text-align:right">2</td>' in page
    assert json.loads(report.files["results.json"].read_text()) == report.results
    found_again(names, made, report)


def found_again(names, made, report):
    """Published: beside the evaluation set, which stays the same content; in the models' cards; on the page."""
    before = resolve(names.evaluation, "dataset").content
    publish(made, report)
    assert resolve(names.evaluation, "dataset").content == before
    files = HfApi().list_repo_files(names.evaluation, repo_type="dataset")
    assert {f"report/{name}" for name in report.files} <= set(files)
    for kind in ("sft", "dpo"):
        card = ModelCard.load(names.adapter(kind))
        told = {result.metric_name: result.metric_value for result in card.data.eval_results}
        assert told["Fluency by one"] == pytest.approx(report.results["judges"][0]["means"]["fluency"][kind]["value"])
        assert told["Chosen by raters"] == report.results["people"]["raters"]["shares"][kind]["value"]
        assert "| Fluency by two (G-Eval, 1 to 5) |" in card.text
    commits = len(HfApi().list_repo_commits(names.adapter("dpo")))
    push_results(names.evaluation)  # as the pipeline does whenever it runs again: what the report added stays
    assert len(HfApi().list_repo_commits(names.adapter("dpo"))) == commits
    revisions = {voice: str(HfApi().model_info(repo).sha) for voice, repo in voices_of(names).items()}
    shown = find_results(names, revisions)
    assert "| Chosen by raters (" in shown.text
    assert "report/report.html" in shown.text
    assert shown.text.startswith("Measured on the very models")  # a card's commit makes no other model
    assert len(shown.pictures) == 2


def voices_of(names):
    return {"base": names.starter, "sft": names.adapter("sft"), "dpo": names.adapter("dpo")}


def test_a_report_of_nothing_but_responses_says_what_is_missing(names, tmp_path):
    made = gather(names)
    page = make(made, tmp_path).files["report.html"].read_text()
    assert len(made.missing) == 3
    assert "No judge&#39;s scores" in page
    assert "Figure 1" not in page
    assert "by PMI under the base model" in page  # the examples are ordered by what there is


def test_scores_of_other_responses_and_votes_on_them_are_left_out(names, study, served, tmp_path):
    _, settings = served(opinion=planted)
    geval.run(names, settings, tmp_path, prompts=3)
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist([answered(1)])}}, tmp_path / "new")
    head = b"---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    inputs = gather(names).lineage.inputs
    lineage = Lineage("evaluation", {"seed": 2}, inputs, FACTS)
    publish_files(names.evaluation, "dataset", {**files, "README.md": head}, lineage, "again")
    made = gather(names)
    assert made.judges == []
    assert "scores another evaluation set" in made.missing[0]
    with pytest.raises(UserError, match="leave --votes out"):
        gather(names, [study[0]], study[1])


def test_votes_of_the_pages_visitors_count_where_they_are_of_these_models(names, tmp_path):
    revisions = {voice: str(HfApi().model_info(repo).sha) for voice, repo in voices_of(names).items()}
    rows = [
        {
            "comparison": str(number),
            "prompt": [{"role": "user", "content": f"Line {number % 7}"}],
            "shown": [["dpo"], ["base", "sft"]],
            "choice": "1",
            "chosen": [] if number == 3 else ["dpo"] if number % 4 else ["base", "sft"],
            "revisions": revisions if number else {**revisions, "dpo": "d" * 40},
        }
        for number in range(40)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows) + '{"comparison": "half'  # the end of a half file
    publish_files(names.votes, "dataset", {"data/a.jsonl": lines.encode()}, Lineage("votes", {}, ()), "v")
    made = gather(names)
    assert made.people["visitors"].counts == {"rows": 40, "of other models": 1, "votes": 39}
    report = make(made, tmp_path)
    assert report.results["people"]["visitors"]["choices"] == 38
    assert report.results["people"]["visitors"]["shares"]["dpo"]["value"] == pytest.approx(29 / 38)


def test_a_judge_that_labelled_the_preferences_is_warned_of(names, tmp_path):
    made = gather(names)
    made.labellers = {FACTS["judge"]}
    page = make(made, tmp_path).files["report.html"].read_text()
    assert "Warning: PMI under the base model also labelled the preferences" in page


def test_examples_are_the_prompts_with_most_and_least_gain():
    rows = [answered(place) for place in range(2, 12)]
    scores = [
        {"item": place, "voice": voice, "criterion": name, "score": 3.0 + (place - 4) / 10 * (voice == "dpo")}
        for place in range(10)
        for voice in VOICES
        for name in ("a", "b")
    ]
    scores[0]["score"] = None  # base's: no reason to leave the prompt out
    source = Input("e", "dataset", "0" * 40, "c")
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [Judged("g", "1", {"judge": "j"}, scores)])
    by, best, worst = judges.examples(made)
    assert by == "the mean G-Eval score by j"
    assert [one.gain for one in best] == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert [one.gain for one in worst] == pytest.approx([-0.4, -0.3, -0.2, -0.1])
    assert best[0].lines == ["Line 11?"]
    assert best[0].replies["sft"] == ("sft 11", pytest.approx(3.0))
    assert worst[0].replies["base"][1] is None


def test_raters_that_score_as_the_judge_does_agree_with_it():
    rows = [answered(place) for place in range(2, 12)]
    favourite = {place: VOICES[place % 3] for place in range(10)}
    scores = [
        {"item": place, "voice": voice, "criterion": "fluency", "score": 5.0 if favourite[place] == voice else 2.0}
        for place in range(10)
        for voice in VOICES
    ]
    source = Input("e", "dataset", "0" * 40, "c")
    judge = Judged("g", "1", {"judge": "j"}, scores)
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [judge])
    assert judges.with_people(made, judge) == {}
    given = [Vote("ann", made.items[place], 0, (favourite[place],), VOICES) for place in range(9)]
    made.people["raters"] = Heard(given, Counter())
    found = judges.with_people(made, judge)
    assert len(found["fluency"]) == 27
    assert {(score.human, score.judge) for score in found["fluency"]} == {(1.0, 5.0), (0.0, 2.0)}
    assert all(one.equal_length is not None for one in weigh(made) if one.measure.of_replies)


def test_few_films_are_said(names, tmp_path):
    made = gather(names)
    for row in made.rows:
        row["movie_id"] = "m1" if row["movie_id"] < "m3" else "m2"
    assert "Only 2 films" in make(made, tmp_path).files["report.html"].read_text()
    assert tables.FEW > 2


def test_the_drawings(tmp_path):
    facts = {"judge": "j", "means": {"fluency": dict.fromkeys(VOICES, ESTIMATE | {"value": 3.0, "high": 3.2})}}
    one = show.means([facts], {}, tmp_path / "one.png").read_bytes()
    people = {"raters": {"choices": 5, "shares": dict.fromkeys(VOICES, ESTIMATE)}}
    assert show.means([facts], people, tmp_path / "two.png").read_bytes() != one
    assert show.means([], people, tmp_path / "three.png").read_bytes().startswith(b"\x89PNG")
    rows = [
        {"criterion": "fluency", "voice": voice, "score": None if n == 0 else n / 5}
        for voice in VOICES
        for n in range(25)
    ]
    assert show.distributions("j", rows, tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")


def run(*arguments):
    command = [sys.executable, "-m", "eval.report", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_the_command(names, study, tmp_path):
    done = run("--namespace", names.namespace, "--out", tmp_path / "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "| Hits@1/20 by PMI (points) | DPO over fine-tuned | 60 |" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.png", "report.html", "results.json"]
    assert not [path for path in HfApi().list_repo_files(names.evaluation, repo_type="dataset") if "report" in path]
    for arguments, said in (
        (("--namespace", names.namespace, "--votes", study[0]), "--votes and --key go together"),
        (("--namespace", f"{names.namespace}-no"), "no evaluation set"),
    ):
        done = run(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert said in done.stderr


def test_the_card_of_the_evaluation_set_and_an_old_report(names, tmp_path):
    made = gather(names)
    report = make(made, tmp_path)
    publish(made, report)
    card = DatasetCard.load(names.evaluation).content
    assert table(report.results).splitlines()[0] in card
    assert "\nold\n" not in card
    commits = len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset"))
    made = gather(names)
    publish(made, make(made, tmp_path))
    assert len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset")) == commits
