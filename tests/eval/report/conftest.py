"""A published evaluation set without its models, and a blind study of it."""

from __future__ import annotations

import csv

import pyarrow as pa
import pytest

from eval.human import sheet, sheet_votes
from hub import model_index
from hub.lineage import Lineage, pin
from hub.names import Names
from hub.parquet import write_tables
from hub.publish import publish as publish_files
from tests.support.answered import FACTS, VARIANTS, answered


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
    """Sheets of two raters, filled in: DPO is chosen in four of five, one row is cut off, one rater votes twice."""
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
        wanted = "dpo" if number % 5 else "sft"
        choice = next(place for place, own in enumerate(entry["voices"], 1) if wanted in own)
        rows.append([entry["rater"], shown, str(choice), "1"])
    rows += [rows[0], rows[1][:2]]
    path = tmp_path / "votes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([sheet_votes.COLUMNS, *rows])
    return path, key
