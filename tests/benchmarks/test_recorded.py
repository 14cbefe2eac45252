"""Published figures are recomputed from a folder or a git directory; what is not there is one line."""

import json
import subprocess

import pytest

from benchmarks.recorded import main
from benchmarks.recorded_figure import read_recorded


@pytest.fixture
def pandalm(tmp_path):
    folder = tmp_path / "PandaLM"
    (folder / "data").mkdir(parents=True)
    rows = [{"annotator1": n % 3, "annotator2": n % 3, "annotator3": n % 3 if n % 4 else 0} for n in range(120)]
    (folder / "data" / "testset-v1.json").write_text(json.dumps(rows))
    return folder


def test_kappas_and_what_is_not_given(pandalm, capsys):
    main(["--pandalm", str(pandalm), "--unieval", str(pandalm / "nothing")])
    said = capsys.readouterr().out.splitlines()
    assert "| PandaLM, Cohen's kappa of annotators 1 and 2 | 0.85 | 1.00 | +1.5e-01 |" in said
    assert "skipped: nlpyang/geval is not given" in said
    assert len([line for line in said if line.startswith("skipped: no reproduce/unieval_predict")]) == 2
    assert len(said) == 2 + 3 + 5


def test_a_git_directory_is_read_without_its_work_tree(pandalm):
    git = ["git", "-C", str(pandalm), "-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "m"]):
        subprocess.run([*git, *command], check=True)
    text = (pandalm / "data" / "testset-v1.json").read_text()
    assert read_recorded(pandalm / ".git", "data/testset-v1.json") == text
    with pytest.raises(FileNotFoundError, match=r"no data/other.json"):
        read_recorded(pandalm / ".git", "data/other.json")
