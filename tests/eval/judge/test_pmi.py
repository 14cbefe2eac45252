"""PMI judge: under the base, blind to order, nothing read twice."""

import math

import pytest

from chat.likelihood import pmi
from eval.judge.pmi import JUDGES, PMIJudge, sigmoid


def items(rows):
    replies = [row["completion"][0]["content"] for row in rows]
    return [(row["prompt"], replies[i], replies[i - 1]) for i, row in enumerate(rows)]


def test_pmi_decides(variants, rows):
    prompt, first, second = items(rows)[0]
    gain = pmi(variants, "base", [(prompt, first), (prompt, second)])
    assert PMIJudge(variants).compare([(prompt, first, second)]) == pytest.approx(
        [sigmoid(gain[0] - gain[1])], abs=1e-5
    )


def test_it_judges_under_the_base_and_says_so(variants, rows):
    prompt, first, second = items(rows)[0]
    gain = pmi(variants, "sft", [(prompt, first), (prompt, second)])
    assert abs(PMIJudge(variants).compare([(prompt, first, second)])[0] - sigmoid(gain[0] - gain[1])) > 1e-3
    assert PMIJudge(variants).name == "PMI under the base model"
    assert JUDGES["pmi"] is PMIJudge


def test_order_cannot_matter(variants, rows):
    judge = PMIJudge(variants)
    ahead = judge.compare(items(rows))
    behind = judge.compare([(prompt, second, first) for prompt, first, second in items(rows)])
    assert [p + q for p, q in zip(ahead, behind, strict=True)] == pytest.approx([1.0] * len(rows), abs=1e-12)
    assert len({round(p, 6) for p in ahead}) == len(rows)
    assert judge.compare([(prompt, first, first) for prompt, first, _ in items(rows)]) == [0.5] * len(rows)


def test_nothing_is_read_twice(variants, rows, monkeypatch):
    read = []
    monkeypatch.setattr(
        "eval.judge.pmi.pmi", lambda variants, name, pairs: [read.append(pair) or 0.0 for pair in pairs]
    )
    judge = PMIJudge(variants)
    judge.compare(items(rows)[:2])
    judge.compare(items(rows))
    judge.compare([(prompt, second, first) for prompt, first, second in items(rows)])
    assert len(read) == 2 * len(rows)
    assert judge.compare([]) == []


def test_sigmoid():
    assert sigmoid(0) == 0.5
    assert sigmoid(math.log(3)) == pytest.approx(0.75)
    assert sigmoid(-800) == 0.0
    assert sigmoid(800) == 1.0
