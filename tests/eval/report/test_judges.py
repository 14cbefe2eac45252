"""Examples with most and least gain, and agreement of judges with raters."""

from collections import Counter

import pytest

from eval.human.sheet_votes import SheetVote
from eval.report import judges
from eval.report.evidence import score_differences, weigh_evidence, with_scores
from eval.report.gather import Choices, JudgeScores, Material
from eval.rows import Response
from hub.lineage import Input, Lineage
from tests.support.answered import FACTS, VARIANTS, answered


def test_examples_are_the_prompts_with_most_and_least_gain():
    rows = [Response.from_row(answered(place)) for place in range(2, 12)]
    scores = [
        {"item": place, "voice": variant, "criterion": name, "score": 3.0 + (place - 4) / 10 * (variant == "dpo")}
        for place in range(10)
        for variant in VARIANTS
        for name in ("a", "b")
    ]
    scores[0]["score"] = None  # base's: no reason to leave the prompt out
    source = Input("e", "dataset", "0" * 40, "c")
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [JudgeScores("g", "1", {"judge": "j"}, scores)])
    by, best, worst = judges.best_and_worst(made)
    assert by == "the mean G-Eval score by j"
    assert [one.gain for one in best] == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert [one.gain for one in worst] == pytest.approx([-0.4, -0.3, -0.2, -0.1])
    assert best[0].lines == ["Line 11?"]
    assert best[0].replies["sft"] == ("sft 11", pytest.approx(3.0))
    assert worst[0].replies["base"][1] is None


def test_raters_that_score_as_the_judge_does_agree_with_it():
    rows = [Response.from_row(answered(place)) for place in range(2, 12)]
    favourite = {place: VARIANTS[place % 3] for place in range(10)}
    scores = [
        {"item": place, "voice": variant, "criterion": "fluency", "score": 5.0 if favourite[place] == variant else 2.0}
        for place in range(10)
        for variant in VARIANTS
    ]
    source = Input("e", "dataset", "0" * 40, "c")
    judge = JudgeScores("g", "1", {"judge": "j"}, scores)
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [judge])
    assert judges.pair_with_people(made, judge) == {}
    given = [SheetVote("ann", made.sheet_ids[place], 0, (favourite[place],), VARIANTS) for place in range(9)]
    made.people["raters"] = Choices(given, Counter())
    found = judges.pair_with_people(made, judge)
    assert len(found["fluency"]) == 27
    assert {(score.human, score.judge) for score in found["fluency"]} == {(1.0, 5.0), (0.0, 2.0)}
    results = {**FACTS, "judges": [judge.facts], "paired": with_scores(FACTS, score_differences(made))}
    for one in weigh_evidence(made, results):
        assert (one.equal_length is not None) == (one.comparison.key in ("preferred", "geval"))
