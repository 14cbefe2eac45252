"""The dataset is made by a process that is killed again and again: what is made in the end is the same to the byte."""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from tests.support import warm
from training.data import pairs, prepare
from training.data.corpus.tables import tabular
from training.recipe_schema import Data, Source

SIZES = pairs.Sizes(batch_lines=150, shard_rows=120, range_records=200)
TRIALS = 60 if os.environ.get("REPARTEE_PROOF") else 5
KILLS = 3
REPO = "films/repartee-dialogue"


def make(folder: str, table: str, kill_at: int | None) -> None:
    """Makes the dataset; killed when so many files of the folder have been opened, made or renamed."""
    seen = 0

    def look(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in ("open", "os.rename", "os.mkdir", "os.remove") and str(arguments[0]).startswith(folder):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    tabular.LINES_AT_ONCE = 100
    data = Data(sources=[Source("training/sample", weight=1.5), Source(table)], context_turns=2)
    found = prepare.located(data, Path(folder))
    files, lineage = prepare.dataset_files(data, found, REPO, Path(folder) / "made", SIZES)
    content = {path: file if isinstance(file, bytes) else file.read_bytes() for path, file in files.items()}
    content["lineage.json"] = lineage.to_json().encode()
    (Path(folder) / "whole.json").write_text(
        json.dumps({"files": {path: one.hex() for path, one in content.items()}, "steps": seen})
    )


def start(folder: Path, table: Path, kill_at: int | None = None) -> int | None:
    """Makes it in a process of its own; the exit code."""
    folder.mkdir(exist_ok=True)
    process = warm.context().Process(target=make, args=(str(folder), str(table), kill_at))
    process.start()
    process.join(200)
    return process.exitcode


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of conversations, some of which the sample has as well."""
    path = tmp_path_factory.mktemp("table") / "talks.jsonl"
    rng = random.Random(1)
    said = ["What?", "You heard me.", *(f"I know {place} of them." for place in range(40))]
    rows = [
        {"dialog": rng.choices(said, k=rng.randrange(1, 6)), "movie_title": f"Film {place % 70}"}
        for place in range(300)
    ]
    path.write_text("".join("{broken\n" * (place == 90) + json.dumps(row) + "\n" for place, row in enumerate(rows)))
    return path


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """What it comes to when nobody is killed, and in how many steps."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, table) == 0
    made = json.loads((folder / "whole.json").read_text())
    assert not (folder / "made" / "batches").exists()
    assert {"pairs/train-00000-of-00011.parquet", "pairs/train-00010-of-00011.parquet"} < made["files"].keys()
    return made


@pytest.mark.parametrize("trial", range(TRIALS))
def test_killed_at_random_it_makes_the_same_bytes(trial, table, whole, tmp_path):
    rng, killed = random.Random(trial), 0
    for _ in range(KILLS):
        killed += start(tmp_path, table, rng.randrange(1, whole["steps"] * 2 // 3)) == -signal.SIGKILL
    assert killed
    assert start(tmp_path, table) == 0
    made = json.loads((tmp_path / "whole.json").read_text())
    assert made["files"].keys() == whole["files"].keys()
    assert [path for path in made["files"] if made["files"][path] != whole["files"][path]] == []
