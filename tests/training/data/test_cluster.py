"""The tables by two tasks of datatrove: the bytes of the single run, failed and killed in between, too."""

import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import warm
from tests.training.data.test_killed import SIZES
from training.data import cluster, prepare
from training.data.corpus.assemble import CorpusError
from training.data.pairs import Build
from training.recipe_schema import Data, Source

pytest.importorskip("datatrove", reason="datatrove is not here: pip install -r training/requirements-cluster.txt")

TASKS = cluster.Cluster(tasks=2, workers=-1)


def build_of(data: Data, folder: Path) -> Build:
    return Build(prepare.weighted(prepare.located(data, folder), data), data, folder / "made", SIZES)


def made(data: Data, folder: Path) -> dict:
    """What the single run makes, or finds made, in a folder: contents by path, and what it says of them."""
    files, facts = prepare.tables_made(data, prepare.located(data, folder), folder / "made", SIZES)
    return {path: Path(file).read_bytes() for path, file in files.items()} | {"facts": facts}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The sample, and a table that nearly repeats some of it and itself."""
    rng, path = random.Random(1), tmp_path_factory.mktemp("table") / "talks.jsonl"
    said = ["What?", "You heard me.", *(f"I know some {place % 9} of them, or {place} I say." for place in range(40))]
    rows = [f'{{"dialog": {said[:1] + rng.choices(said, k=3)}, "title": "{place % 7}"}}' for place in range(120)]
    path.write_text("\n".join(rows).replace("'", '"'))
    return Data(sources=[Source("training/sample", weight=1.5), Source(str(path))], near_duplicates=0.5)


@pytest.fixture(scope="module")
def single(data, tmp_path_factory):
    return made(data, tmp_path_factory.mktemp("single"))


def assert_made(data, folder, single):
    """All that the single run makes is there, and it finds it: it writes nothing anew."""
    before = {path: (folder / "made" / path).stat().st_ino for path in single if path != "facts"}
    found = made(data, folder)
    assert found.keys() == single.keys()
    assert [path for path in found if found[path] != single[path]] == []
    assert {path: (folder / "made" / path).stat().st_ino for path in before} == before


def test_two_tasks_make_the_bytes_of_one(data, single, tmp_path):
    build = build_of(data, tmp_path)
    cluster.run_steps(build, TASKS, 60)
    done = {
        path.relative_to(build.scratch / "tasks").as_posix() for path in build.scratch.glob("tasks/*/completions/*")
    }
    names = ("read-of-2", "compare-of-2", "verify-of-2", "write-of-2")
    both = {f"{name}/completions/0000{rank}" for name in names for rank in (0, 1)}
    assert done == {*both, "tally-of-1/completions/00000"}
    assert len(list(build.found.glob("*/000001.npy"))) >= 3  # ranges of keys, of which each task had some
    assert single["facts"]["dropped"]["pairs dropped: nearly the words of an earlier pair"]
    assert_made(data, tmp_path, single)


def test_a_failed_task_is_made_up_for_by_a_second_start(data, single, tmp_path):
    build, table = build_of(data, tmp_path), Path(data.sources[1].path)
    content = table.read_text()
    table.write_text("")
    with pytest.raises(CorpusError):
        cluster.run_steps(build, TASKS._replace(workers=1), 60)
    assert not build.found.exists()  # no step begins before the one before it is whole
    table.write_text(content)
    cluster.run_steps(build, TASKS, 60)
    assert_made(data, tmp_path, single)


def run_until(data: Data, folder: Path, mark: str | None) -> None:
    """One task after the other in this process, which is killed where a path with a mark is touched."""

    def look(event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename", "os.mkdir") and mark and mark in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    os.setsid()
    sys.addaudithook(look)
    cluster.run_steps(build_of(data, folder), TASKS._replace(workers=1), 60)


def start(data: Data, folder: Path, mark: str | None = None) -> int | None:
    process = warm.context().Process(target=run_until, args=(data, folder, mark))
    process.start()
    process.join(200)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # datatrove's manager outlives who started it
    return process.exitcode


def test_killed_it_carries_on(data, single, tmp_path):
    for mark in ("00001-000001.draft", "draft-000001.npy", "candidates/draft", "tally.draft", "train-00003-of"):
        assert start(data, tmp_path, mark) == -signal.SIGKILL, mark
    assert start(data, tmp_path) == 0
    assert_made(data, tmp_path, single)


SBATCH = """\
#!/bin/bash
# A stand-in for Slurm, one machine: runs every task of an array at once, then says the job's number.
script="${@: -1}"
grep -q merge_stats "$script" && { echo Submitted 0; exit; }
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for task in $(seq 0 "$last"); do
  (cd /; RUN_OFFSET=0 SLURM_NODELIST=here SLURM_ARRAY_TASK_ID=$task bash "$script" >&2) || exit 1
done
echo "$*" >> "$SUBMITTED"
echo Submitted batch job $(wc -l < "$SUBMITTED")
"""
SRUN = '#!/bin/bash\n[ "$1 $2 $3" = "-l -n 1" ] && exec "${@:4}"\n'


@pytest.mark.slow
def test_slurm_is_given_the_same_steps(data, single, tmp_path, monkeypatch):
    """By a stand-in: it shows that the scripts and what is pickled for them run, not that a cluster takes them."""
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", "#!/bin/bash\necho here\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted"))
    cluster.run_steps(build_of(data, tmp_path), TASKS._replace(partition="cpu"), 90)
    submitted = (tmp_path / "submitted").read_text().splitlines()
    after = ["", *(f"--dependency=afterok:{job}" for job in range(1, 5))]
    assert len(submitted) == 5
    assert all(one in line for one, line in zip(after, submitted, strict=True))
    assert_made(data, tmp_path, single)
