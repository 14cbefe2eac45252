"""The report: what speaks for whom, what is left at equal length, and that what is published of it is found again."""

import csv
import json
from dataclasses import replace

import pyarrow as pa
import pytest
from huggingface_hub import DatasetCard, HfApi, ModelCard

from eval.evaluation import push_results
from eval.geval.run import run_geval
from eval.human import sheet, sheet_votes
from eval.report import tables
from eval.report.__main__ import main, make_report, push_report
from eval.report.gather import gather
from hub import model_index
from hub.errors import UserError
from hub.lineage import Lineage, pin
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish as publish_files
from hub.results_table import table
from space.results import find_results
from tests.support.answered import FACTS, HOSTILE, VARIANTS, answered
from tests.support.in_process import run_main


def planted(text: str) -> float:
    """DPO's replies are better; of base and SFT the one is better in every other film, the other in the rest."""
    variant, *_, place = text.split()
    if variant not in VARIANTS:
        return 0.1 if "img" in text else 0.3
    swing = 0.1 if int(place) // 2 % 2 else -0.1
    return {"base": 0.5 + swing, "sft": 0.5 - swing, "dpo": 0.8}[variant]


@pytest.fixture
def names(hub_url, namespace, tmp_path):
    """An evaluation set as it is published, on models that are on the Hub."""
    found = Names(namespace, "starter")
    repos = (found.base, found.adapter("sft"), found.adapter("dpo"))
    card = f"---\nlicense: mit\n---\n{model_index.BEGIN}\n{model_index.END}\n".encode()
    for repo in repos:
        publish_files(repo, "model", {"README.md": card, "weights": repo.encode()}, Lineage("x", {}, ()), "m")
    publish_files(found.dialogue, "dataset", {"d": b"d"}, Lineage("prepare", {}, ()), "d")
    inputs = (*(pin(repo, "model") for repo in repos), pin(found.dialogue, "dataset"))
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist([answered(n) for n in range(60)])}}, tmp_path)
    head = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    files["metrics.png"] = b"\x89PNG"
    files["README.md"] = f"{head}{model_index.BEGIN}\nold\n{model_index.END}\n".encode()
    publish_files(found.evaluation, "dataset", files, Lineage("evaluation", {"seed": 1}, inputs, FACTS), "e")
    return found


@pytest.fixture
def study(names, tmp_path):
    """Sheets of two raters, filled in: DPO is chosen in two of three, one row is cut off, one rater votes twice."""
    evaluation = pin(names.evaluation, "dataset")
    items = [
        sheet.SheetItem("-".join(row["line_ids"]), ["?"], {variant: row[variant]["text"] for variant in VARIANTS})
        for row in map(answered, range(40))
    ]
    made = sheet.make_sheets(items, ["ann", "bo"], "seed", repeats=0.1)
    *_, key = sheet.write_sheets(
        made, {"evaluation": evaluation.repo, "revision": evaluation.revision}, tmp_path / "study"
    )
    rows = []
    for number, (shown, entry) in enumerate(made.key.items()):
        wanted = "dpo" if number % 3 else "sft"
        choice = next(place for place, own in enumerate(entry["voices"], 1) if wanted in own)
        rows.append([entry["rater"], shown, str(choice), "1"])
    rows += [rows[0], rows[1][:2]]
    path = tmp_path / "votes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([sheet_votes.COLUMNS, *rows])
    return path, key


def test_a_report_of_everything(names, study, served, tmp_path, capsys):
    for model, second in (("one", False), ("two", True)):
        _, settings = served(opinion=planted, model=model)
        run_geval(names, settings, tmp_path, second=second)
    made = gather(names, [study[0]], study[1])
    report = make_report(made, tmp_path / "out")
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
    before = pin(names.evaluation, "dataset").content
    push_report(made, report)
    assert pin(names.evaluation, "dataset").content == before
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
    revisions = {variant: str(HfApi().model_info(repo).sha) for variant, repo in variants_of(names).items()}
    shown = find_results(names, revisions)
    assert "| Chosen by raters (" in shown.text
    assert "report/report.html" in shown.text
    assert shown.text.startswith("Measured on the very models")  # a card's commit makes no other model
    assert len(shown.pictures) == 2


def variants_of(names):
    return {"base": names.base, "sft": names.adapter("sft"), "dpo": names.adapter("dpo")}


def test_a_report_of_nothing_but_responses_says_what_is_missing(names, tmp_path):
    made = gather(names)
    page = make_report(made, tmp_path).files["report.html"].read_text()
    assert len(made.missing) == 3
    assert "No judge&#39;s scores" in page
    assert "Figure 1" not in page
    assert "by PMI under the base model" in page  # the examples are ordered by what there is


def test_scores_of_other_responses_and_votes_on_them_are_left_out(names, study, served, tmp_path):
    _, settings = served(opinion=planted)
    run_geval(names, settings, tmp_path, prompts=3)
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
    revisions = {variant: str(HfApi().model_info(repo).sha) for variant, repo in variants_of(names).items()}
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
    report = make_report(made, tmp_path)
    assert report.results["people"]["visitors"]["choices"] == 38
    assert report.results["people"]["visitors"]["shares"]["dpo"]["value"] == pytest.approx(29 / 38)


def test_a_judge_that_labelled_the_preferences_is_warned_of(names, tmp_path):
    made = gather(names)
    made.labellers = {FACTS["judge"]}
    page = make_report(made, tmp_path).files["report.html"].read_text()
    assert "Warning: PMI under the base model also labelled the preferences" in page


def test_few_films_are_said(names, tmp_path):
    made = gather(names)
    made.responses = [
        replace(response, movie_id="m1" if response.movie_id < "m3" else "m2") for response in made.responses
    ]
    assert "Only 2 films" in make_report(made, tmp_path).files["report.html"].read_text()
    assert tables.FEW_FILMS > 2


def test_the_command(names, study, tmp_path):
    done = run_main(main, "--namespace", names.namespace, "--out", tmp_path / "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "| Hits@1/20 by PMI (points) | DPO over fine-tuned | 60 |" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.png", "report.html", "results.json"]
    assert not [path for path in HfApi().list_repo_files(names.evaluation, repo_type="dataset") if "report" in path]
    for arguments, said in (
        (("--namespace", names.namespace, "--votes", study[0]), "--votes and --key go together"),
        (("--namespace", f"{names.namespace}-no"), "no evaluation set"),
    ):
        done = run_main(main, *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert said in done.stderr


def test_the_card_of_the_evaluation_set_and_an_old_report(names, tmp_path):
    made = gather(names)
    report = make_report(made, tmp_path)
    push_report(made, report)
    card = DatasetCard.load(names.evaluation).content
    assert table(report.results).splitlines()[0] in card
    assert "\nold\n" not in card
    commits = len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset"))
    made = gather(names)
    push_report(made, make_report(made, tmp_path))
    assert len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset")) == commits
