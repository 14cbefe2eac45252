"""The study of human choices: sheets, what comes back of them, what it says, and the plan for it."""

import csv
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from eval.human import analysis, power, sheet, sheet_votes
from eval.human.sheet import SheetItem
from eval.human.sheet_votes import SheetVote
from hub.errors import UserError
from stats.intervals import sign_flip_test

VARIANTS = ("base", "dpo", "sft")


def items(count: int) -> list[SheetItem]:
    return [
        SheetItem(
            f"L{n}-L{n + 1}", [f"Line {n}?"], {"base": f"b{n}", "sft": f"s{n}", "dpo": f"d{n}" if n % 4 else f"s{n}"}
        )
        for n in range(count)
    ]


@pytest.fixture
def sheets():
    return sheet.make([*items(20), SheetItem("alike", ["x"], dict.fromkeys(VARIANTS, "Yes."))], ["ann", "bo"], "seed")


def test_sheets_name_no_model_and_the_key_knows_all(sheets, tmp_path):
    *pages, key = sheet.write(sheets, {"evaluation": "n/e"}, tmp_path / "study")
    assert [path.name for path in pages] == ["sheet-ann.html", "sheet-bo.html"]
    for path in pages:
        data = path.read_text().split('id="data">')[1].split("</script>")[0]
        assert not [variant for variant in ("base", "sft", "dpo", "L1") if variant in data]
        told = json.loads(data)
        for shown in told["items"]:
            entry = sheets.key[shown["id"]]
            item = next(item for item in items(20) if item.id == entry["item"])
            assert shown["lines"] == item.lines
            for text, variants in zip(shown["options"], entry["voices"], strict=True):
                assert {item.replies[variant] for variant in variants} == {text}
    assert sheets.all_alike == ["alike"]
    assert json.loads(key.read_text())["shown"] == sheets.key
    with pytest.raises(UserError, match="there already"):
        sheet.write(sheets, {}, tmp_path / "study")


def test_repeats_come_later_and_in_an_order_of_their_own():
    made = sheet.make(items(200), ["ann"], "seed", repeats=0.5)
    order = [(made.key[shown["id"]]["item"], made.key[shown["id"]]["copy"]) for shown in made.pages["ann"]]
    assert [copy for _, copy in order] == [0] * 200 + [1] * 100
    first = {item: place for place, (item, copy) in enumerate(order) if copy == 0}
    assert all(place - first[item] >= 100 for place, (item, copy) in enumerate(order) if copy)
    by_item = {}
    for entry in made.key.values():
        by_item.setdefault(entry["item"], []).append(entry["voices"])
    twice = [both for both in by_item.values() if len(both) == 2]
    assert 0.3 < np.mean([one == other for one, other in twice if len(one) == 2]) < 0.7


def test_a_reply_cannot_break_out_of_the_page(tmp_path):
    hostile = SheetItem("x", ["</script><script>alert(1)</script>"], {"base": "<!--", "sft": "<img src=x>"})
    (page, _) = sheet.write(sheet.make([hostile], ["ann"], "s"), {}, tmp_path)
    assert page.read_text().count("</script>") == 2
    assert "alert(1)<" not in page.read_text()


def test_nothing_to_choose_is_said():
    with pytest.raises(ValueError, match="alike"):
        sheet.make([SheetItem("x", ["?"], {"base": "a", "sft": "a "})], ["ann"], "s")


def csv_file(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([sheet_votes.COLUMNS, *rows])
    return path


def test_every_row_is_counted_as_something(sheets, tmp_path):
    *_, key = sheet.write(sheets, {"evaluation": "n/e"}, tmp_path)
    ann = [shown["id"] for shown in sheets.pages["ann"]]
    rows = [
        ["ann", ann[0], "1", "2.5"],
        ["ann", ann[0], "2", "9"],  # thought again
        ["ann", ann[1], "tie", "1"],
        ["ann", ann[2], "skip", "1"],
        ["ann", ann[3], "9", "1"],
        ["ann", ann[4], "base", "1"],
        ["bo", ann[5], "1", "1"],
        ["ann", "0" * 16, "1", "1"],
        ["ann", ann[6]],  # the end of a half file
    ]
    given, counts, facts = sheet_votes.read([csv_file(tmp_path / "v.csv", rows)], key)
    assert dict(counts) == {
        "rows": 9,
        "votes": 2,
        "ties": 1,
        "skipped": 1,
        "replaced by a later vote": 1,
        "not a choice": 3,
        "of another sheet": 2,
        "items alike, not shown": 1,
    }
    entry = sheets.key[ann[0]]
    assert given[0] == SheetVote("ann", entry["item"], entry["copy"], tuple(entry["voices"][1]), VARIANTS)
    assert given[1].chosen == ()
    assert facts["evaluation"] == "n/e"
    for content in ("", "a,b\n1,2\n"):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(UserError, match="no file of votes"):
            sheet_votes.read([tmp_path / "bad.csv"], key)
    with pytest.raises(UserError, match="no key"):
        sheet_votes.read([], tmp_path / "v.csv")


def study(shares: dict[str, float], raters: int, prompts: int, seed: int, rho: float = power.RHO) -> list[SheetVote]:
    """Votes of raters who share a taste on each prompt: Dirichlet, so that two of them agree beyond chance by rho."""
    chance, variants = np.random.default_rng(seed), tuple(shares)
    found = []
    for item in range(prompts):
        taste = chance.dirichlet([share * (1 - rho) / rho for share in shares.values()])
        for rater in range(raters):
            found.append(
                SheetVote(str(rater), str(item), 0, (variants[chance.choice(len(variants), p=taste)],), variants)
            )
    return found


def test_an_analysis_finds_what_was_planted():
    found = analysis.analyse(study({"dpo": 0.52, "sft": 0.37, "base": 0.11}, 3, 600, seed=5))
    for variant, share in (("dpo", 0.52), ("sft", 0.37), ("base", 0.11)):
        assert found["shares"][variant]["low"] < share < found["shares"][variant]["high"]
    assert sum(share["value"] for share in found["shares"].values()) == pytest.approx(1)
    assert all(pair["p"] < 0.01 for pair in found["pairs"].values())
    assert found["agreement"]["method"] == "Fleiss"
    assert found["agreement"]["kappa"] == pytest.approx(power.RHO, abs=0.06)
    null = analysis.analyse(study({"dpo": 0.4, "sft": 0.4, "base": 0.2}, 3, 600, seed=6))
    assert null["pairs"]["dpo - sft"]["p"] > 0.05
    assert null["pairs"]["dpo - sft"]["difference"]["low"] < 0 < null["pairs"]["dpo - sft"]["difference"]["high"]


def test_shared_choices_ties_and_repeats():
    given = [
        SheetVote("a", "1", 0, ("dpo", "sft"), VARIANTS),
        SheetVote("a", "2", 0, (), VARIANTS),
        SheetVote("a", "3", 0, ("base",), VARIANTS),
        SheetVote("b", "1", 0, ("dpo", "sft"), VARIANTS),
        SheetVote("b", "2", 0, ("base",), VARIANTS),
        SheetVote("a", "1", 1, ("dpo", "sft"), VARIANTS),
        SheetVote("a", "2", 1, ("base",), VARIANTS),
    ]
    found = analysis.analyse(given)
    assert {variant: share["value"] for variant, share in found["shares"].items()} == {
        "base": 0.5,
        "dpo": 0.25,
        "sft": 0.25,
    }
    assert (found["choices"], found["ties"], found["prompts"]) == (4, 1, 3)
    assert found["agreement"] == {"kappa": pytest.approx(1 / 3), "items": 2, "method": "Cohen"}
    assert found["self_consistency"] == {"repeats": 2, "same": 0.5}
    text = analysis.table(found)
    assert "| base | 50.0% (" in text
    assert "4 choices and 1 ties by 2 raters on 3 prompts" in text
    with pytest.raises(ValueError, match="no choice"):
        analysis.analyse([SheetVote("a", "1", 0, (), VARIANTS)])


@pytest.mark.parametrize(("raters", "prompts"), [(2, 100), (2, 300), (3, 150)])
def test_the_plan_agrees_with_simulated_studies(raters, prompts):
    """Within 3 points; 2,000 studies have a standard error of 1.1."""
    shares, studies, seen = {"dpo": 0.52, "sft": 0.37, "base": 0.11}, 2_000, 0
    chance = np.random.default_rng(raters * prompts)
    concentration = np.array(list(shares.values())) * (1 - power.RHO) / power.RHO
    for number in range(studies):
        tastes = chance.dirichlet(concentration, prompts)
        counts = chance.multinomial(raters, tastes)
        seen += sign_flip_test((counts[:, 0] - counts[:, 1]).tolist(), number, flips=400) < 0.05
    assert power.power(0.52, 0.37, raters, prompts) == pytest.approx(seen / studies, abs=0.03)


def test_the_plan_says_that_two_raters_on_100_prompts_are_too_few():
    assert power.power(0.52, 0.37, 2, 100) == pytest.approx(0.49, abs=0.01)
    needed = power.prompts_needed(0.52, 0.37, 2, 0.9)
    assert power.power(0.52, 0.37, 2, needed) >= 0.9 > power.power(0.52, 0.37, 2, needed - 1)
    assert power.power(0.4, 0.4, 3, 500) == pytest.approx(0.05)
    assert power.power(1.0, 0.0, 1, 5) == 1
    with pytest.raises(ValueError, match="equal"):
        power.prompts_needed(0.3, 0.3, 2, 0.9)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eval.human", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_three_commands(hub_url, namespace, tmp_path):
    import pyarrow as pa

    from hub.lineage import Lineage
    from hub.parquet import write_tables
    from hub.publish import publish

    rows = [
        {
            "line_ids": item.id.split("-"),
            "prompt": [{"role": "system", "content": "Answer."}, {"role": "user", "content": item.lines[0]}],
            **{variant: {"text": text} for variant, text in item.replies.items()},
        }
        for item in items(30)
    ]
    files, _ = write_tables({"responses": {"test": pa.Table.from_pylist(rows)}}, tmp_path)
    card = "---\nconfigs: [{config_name: responses, data_files: [{split: test, path: responses/test.parquet}]}]\n---\n"
    lineage = Lineage("evaluation", {}, ())
    publish(f"{namespace}/repartee-starter-evaluation", "dataset", {**files, "README.md": card.encode()}, lineage, "e")

    assert "2 raters on 100 prompts see the difference in 49% of studies" in run("plan").stdout
    study = tmp_path / "study"
    made = run("sheet", "--namespace", namespace, "--raters", "ann,bo", "--prompts", 30, "--out", study)
    assert made.returncode == 0, made.stderr
    shown = json.loads((study / "key.json").read_text())["shown"]
    assert Counter(entry["rater"] for entry in shown.values()) == {"ann": 33, "bo": 33}
    given = []
    for id, entry in shown.items():
        choice = next(place for place, variants in enumerate(entry["voices"], 1) if "sft" in variants)
        given.append([entry["rater"], id, str(choice), "1"])
    path = csv_file(study / "votes.csv", given)
    found = run("analyse", path, "--key", study / "key.json", "--out", study / "found.json")
    assert found.returncode == 0, found.stderr
    assert "| sft | " in found.stdout
    assert json.loads((study / "found.json").read_text())["self_consistency"] == {"repeats": 6, "same": 1.0}
    for arguments, said in (
        (("sheet", "--namespace", namespace, "--raters", "a,a", "--out", study), "two have one name"),
        (("sheet", "--namespace", namespace, "--raters", "ann", "--out", study), "has 30 prompts, not 300"),
        (("plan", "--shares", 0.3, 0.5), "the larger share first"),
        (("analyse", study / "none.csv", "--key", study / "key.json"), "cannot be read"),
    ):
        done = run(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert said in done.stderr
