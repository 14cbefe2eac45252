"""The report: what speaks for whom, what is left at equal length, and that what is published of it is found again."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from huggingface_hub import DatasetCard, HfApi, ModelCard

from eval.evaluation import push_results
from eval.geval.run import run_geval
from eval.report.__main__ import main, make_report, push_report
from eval.report.gather import gather
from hub.comparisons import comparisons
from hub.errors import UserError
from hub.lineage import Lineage, pin
from hub.parquet import write_tables
from hub.publish import publish as publish_files
from hub.results_table import table
from space.results import find_results
from stats.bradley_terry import battles_of
from stats.clustered import paired_difference
from tests.support.answered import FACTS, HOSTILE, VARIANTS, answered, compared
from tests.support.in_process import run_main


def planted(text: str) -> float:
    """DPO's replies are better; of base and SFT the one is better in every other film, the other in the rest."""
    variant, *_, place = text.split() + [""] * (text == "Then.")  # another film's reply, of one word
    if variant not in VARIANTS:
        return 0.1 if "img" in text else 0.3
    swing = 0.1 if int(place) // 2 % 2 else -0.1
    return {"base": 0.5 + swing, "sft": 0.5 - swing, "dpo": 0.8}[variant]


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
    assert by["loss on the films' replies, text alone", "dpo - sft"]["difference"]["value"] == pytest.approx(-60 / 470)
    assert by["chosen by raters", "dpo - sft"]["verdict"] == "better"
    assert by["Hits@1/20 by PMI", "dpo - sft"]["equal_length"] is None
    page = report.files["report.html"].read_text()
    assert page.count('src="data:image/png;base64,iVBOR') == 6  # means, two of boxes, two distributions, metrics
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
    assert shown.panels.count("<figure") == 8


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
            "replies": {"base": "Yes.", "sft": "Yes.", "dpo": f"No, {'no, ' * (number % 3)}Line!"},
        }
        for number in range(40)
    ]
    again = {**rows[1], "address": "e" * 16}
    rows += [{**again, "comparison": "once"}, {**again, "comparison": "again"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows) + '{"comparison": "half'  # the end of a half file
    publish_files(names.votes, "dataset", {"data/a.jsonl": lines.encode()}, Lineage("votes", {}, ()), "v")
    made = gather(names)
    counts = {"rows": 42, "of other models": 1, "again on the same line": 1, "votes": 40}
    assert made.people["visitors"].counts == counts
    report = make_report(made, tmp_path)
    assert report.results["people"]["visitors"]["choices"] == 39
    assert report.results["people"]["visitors"]["shares"]["dpo"]["value"] == pytest.approx(30 / 39)
    assert "40 of the 50 raters that Bradley-Terry takes" in report.files["report.html"].read_text()
    assert all(
        one.style for vote in made.people["visitors"].votes for one in battles_of((), vote.shown, vote.styles, "")
    )


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
    made.results = made.results | compared(films=2) | {"films": 2}
    report = make_report(made, tmp_path)
    assert "2 films: too few for intervals, tests and verdicts." in report.files["report.html"].read_text()
    assert {one["verdict"] for one in report.results["evidence"]} == {"2 films: too few"}
    assert {one["difference"]["low"] for one in report.results["evidence"]} == {None}


def test_card_report_and_page_show_one_estimate_interval_and_p(names, study, served, tmp_path):
    """Audit: one quantity had several intervals and p-values, by Wilson here and a bootstrap there, Holm's or not."""
    _, settings = served(opinion=planted)
    run_geval(names, settings, tmp_path)
    made = gather(names, [study[0]], study[1])
    report = make_report(made, tmp_path / "out")
    push_report(made, report)
    page = report.files["report.html"].read_text()
    card = DatasetCard.load(names.evaluation).content
    model_card = ModelCard.load(names.adapter("dpo")).text
    tab = find_results(names, {"base": "x"}).text
    found = comparisons(report.results)
    assert len(found) == 2 * 3 + 2 + 2 + 3  # metrics, preferences, G-Eval, and the raters' three pairs
    by = {(one["measure"], one["pair"]): one for one in report.results["evidence"]}
    for one in found:
        line = f"{one.interval()}"
        assert line in card
        assert line in model_card
        assert line in tab
        assert one.chance() in card
        numbers = line.removesuffix(" points").removesuffix(" nats per byte").removesuffix(" mean score")
        assert f">{numbers}<" in page
        assert f">{one.p_value:.4f}<" in page
        shown = by[one.title, " - ".join(one.pair)]
        assert shown["difference"] == {end: one.estimate[end] for end in ("value", "low", "high")}
        assert shown["p_value"] == one.p_value
    again = paired_difference(
        *([float(row.variants[name].hit_pmi) for row in made.responses] for name in ("dpo", "sft")),
        [row.movie_id for row in made.responses],
    )
    assert by["Hits@1/20 by PMI", "dpo - sft"]["difference"]["low"] == again.low


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


def test_a_private_judge_goes_into_no_public_evaluation(names, served, tmp_path):
    _, settings = served(opinion=planted)
    run_geval(names, settings, tmp_path, private=True)
    made = gather(names)
    report = make_report(made, tmp_path / "out")
    commits = len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset"))
    with pytest.raises(UserError, match=f"{names.geval} is private.*update_repo_settings..{names.evaluation}"):
        push_report(made, report)
    done = run_main(main, "--namespace", names.namespace, "--out", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert len(HfApi().list_repo_commits(names.evaluation, repo_type="dataset")) == commits
    HfApi().update_repo_settings(names.evaluation, repo_type="dataset", private=True)
    assert push_report(gather(names), report)
