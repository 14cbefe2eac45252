"""Command line of the study of human choices: plan, sheet, analyse."""

import json
from collections import Counter
from functools import partial

import pyarrow as pa

from eval.human.__main__ import main
from hub.lineage import Lineage
from hub.parquet import write_tables
from hub.publish import publish
from tests.support.answered import response_row
from tests.support.in_process import run_main
from tests.support.studies import csv_file, sheet_items

run = partial(run_main, main)


def test_the_three_commands(hub_url, namespace, tmp_path):
    rows = [response_row(item.id.split("-"), item.lines, item.replies) for item in sheet_items(30)]
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
    voices = {variant for entry in shown.values() for option in entry["voices"] for variant in option}
    assert voices == {"base", "sft", "dpo", "film", "shuffled"}
    bare = (
        "sheet",
        "--namespace",
        namespace,
        "--raters",
        "ann",
        "--prompts",
        30,
        "--no-controls",
        "--out",
        tmp_path / "b",
    )
    assert run(*bare).returncode == 0
    assert "shuffled" not in (tmp_path / "b" / "key.json").read_text()
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
