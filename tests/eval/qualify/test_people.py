"""Agreement with people: files, a judge that scores, and one that compares only."""

import re

import pytest

from eval.judge.embedded import EmbeddedJudge
from eval.qualify.people import HumanScore, agreement_with_people, judge_scores, read_human_scores
from hub.errors import UserError

SCORES = [HumanScore(f"Line {n // 3}?", "x" * (n + 1), float(n % 3)) for n in range(12)]


class Shorter:
    name = "shorter"

    def compare(self, items):
        return [float(len(first) < len(second)) for _, first, second in items]


def test_both_forms_of_a_file(tmp_path):
    (tmp_path / "a.csv").write_text('prompt,reply,score\n"Well, Frank?",No.,3\nWhy?,Go.,1.5\n')
    (tmp_path / "a.jsonl").write_text(
        '{"prompt": "Well, Frank?", "reply": "No.", "score": 3}\n\n{"prompt": "Why?", "reply": "Go.", "score": 1.5}\n'
    )
    expected = [HumanScore("Well, Frank?", "No.", 3.0), HumanScore("Why?", "Go.", 1.5)]
    assert read_human_scores(tmp_path / "a.csv") == read_human_scores(tmp_path / "a.jsonl") == expected


HEAD = "prompt,reply,score\n"


def test_a_file_that_a_spreadsheet_saved_again(tmp_path):
    saved = "\ufeffprompt;reply;score\r\nWhy, Frank?;No.;3,5\r\nWhy?;Go.;2.0\r\n"
    (tmp_path / "a.csv").write_bytes(saved.encode())
    assert read_human_scores(tmp_path / "a.csv") == [
        HumanScore("Why, Frank?", "No.", 3.5),
        HumanScore("Why?", "Go.", 2.0),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.csv", "prompt,reply\na,b\n", "is no file of human scores: its first line is 'prompt,reply'"),
        ("a.csv", f"{HEAD}a,b,1\na,b,good\n", "no prompt, reply and score in line 3"),
        ("a.csv", f"{HEAD}a,b,nan\na,b,1\n", "has nan for a score in line 2"),
        ("a.csv", f"{HEAD}a,b,1\n", "has 1 scores; it takes 2 and more"),
        (
            "a.jsonl",
            '{"prompt": "a", "reply": "b", "score": 1}\n{"prompt": "a"}\n',
            "no prompt, reply and score in line 2",
        ),
        ("a.jsonl", '\n{"prompt": \n', "no JSON object in line 2"),
    ],
)
def test_a_file_without_scores_is_one_line(tmp_path, name, text, line):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(line)):
        read_human_scores(tmp_path / name)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv cannot be read: No such file"):
        read_human_scores(tmp_path / "none.csv")


def test_a_judge_that_scores_is_correlated_by_its_scores():
    found = agreement_with_people(EmbeddedJudge("long", lambda pairs: [len(r) % 3 for _, r in pairs]), SCORES)
    assert found["spearman"].value == pytest.approx(-0.5)  # 1, 2, 0 against 0, 1, 2
    assert (found["pearson"].n, found["pearson"].films) == (12, 4)


def test_a_judge_that_compares_is_correlated_by_its_wins():
    assert judge_scores(Shorter(), SCORES)[:3] == [1.0, 0.5, 0.0]
    assert agreement_with_people(Shorter(), SCORES)["pearson"].value == pytest.approx(-1.0)
    with pytest.raises(UserError, match="no prompt of the human scores has two"):
        agreement_with_people(Shorter(), SCORES[::3])
