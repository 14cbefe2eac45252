"""What speaks for whom: differences at equal length, preferences, agreement with raters, examples, drawings."""

import math
from collections import Counter

import numpy as np
import pytest
from answered import ESTIMATE, FACTS, VARIANTS, answered

from eval import plots
from eval.human.sheet_votes import SheetVote
from eval.report import judges
from eval.report.evidence import at_equal_length, preferred, weigh
from eval.report.gather import Heard, Judged, Material
from hub.lineage import Input, Lineage


def test_at_equal_length_a_difference_that_is_length_alone_is_gone():
    chance = np.random.default_rng(4)
    longer = chance.normal(0.5, 0.4, 600)
    films = [str(n // 6) for n in range(600)]
    alone = at_equal_length((0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert alone.low < 0 < alone.high
    true = at_equal_length((0.3 + 0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert true.low < 0.3 < true.high
    assert true.low > 0


def test_at_equal_length_is_the_intercept_of_a_least_squares_line():
    x, y = [0.1, 0.5, -0.3, 0.9, 0.2], [1.0, 2.0, 0.5, 2.2, 1.4]
    assert at_equal_length(y, x, list("abcde")).value == pytest.approx(np.polyfit(x, y, 1)[1])
    assert at_equal_length([1.0, 3.0], [0.2, 0.2], ["a", "b"]).value == 2.0  # nothing to tell length from


def test_preferences_count_both_orders_and_ties_as_half():
    row = {"first_better": {"a over b": [0.9, 0.2]}, "a": {"text": "x"}, "b": {"text": "y"}}
    assert preferred([row], "a", "b").first == [1.0]
    assert preferred([row | {"b": {"text": "x"}}], "a", "b").first == [0.5]
    assert preferred([row | {"first_better": {"a over b": [0.4, 0.6]}}], "a", "b") == ([0.5], [0.5], None)
    assert math.isnan(preferred([row | {"first_better": {}}], "a", "b").first[0])


def test_examples_are_the_prompts_with_most_and_least_gain():
    rows = [answered(place) for place in range(2, 12)]
    scores = [
        {"item": place, "voice": variant, "criterion": name, "score": 3.0 + (place - 4) / 10 * (variant == "dpo")}
        for place in range(10)
        for variant in VARIANTS
        for name in ("a", "b")
    ]
    scores[0]["score"] = None  # base's: no reason to leave the prompt out
    source = Input("e", "dataset", "0" * 40, "c")
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [Judged("g", "1", {"judge": "j"}, scores)])
    by, best, worst = judges.examples(made)
    assert by == "the mean G-Eval score by j"
    assert [one.gain for one in best] == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert [one.gain for one in worst] == pytest.approx([-0.4, -0.3, -0.2, -0.1])
    assert best[0].lines == ["Line 11?"]
    assert best[0].replies["sft"] == ("sft 11", pytest.approx(3.0))
    assert worst[0].replies["base"][1] is None


def test_raters_that_score_as_the_judge_does_agree_with_it():
    rows = [answered(place) for place in range(2, 12)]
    favourite = {place: VARIANTS[place % 3] for place in range(10)}
    scores = [
        {"item": place, "voice": variant, "criterion": "fluency", "score": 5.0 if favourite[place] == variant else 2.0}
        for place in range(10)
        for variant in VARIANTS
    ]
    source = Input("e", "dataset", "0" * 40, "c")
    judge = Judged("g", "1", {"judge": "j"}, scores)
    made = Material(source, Lineage("evaluation", {}, ()), FACTS, rows, [judge])
    assert judges.with_people(made, judge) == {}
    given = [SheetVote("ann", made.items[place], 0, (favourite[place],), VARIANTS) for place in range(9)]
    made.people["raters"] = Heard(given, Counter())
    found = judges.with_people(made, judge)
    assert len(found["fluency"]) == 27
    assert {(score.human, score.judge) for score in found["fluency"]} == {(1.0, 5.0), (0.0, 2.0)}
    assert all(one.equal_length is not None for one in weigh(made) if one.measure.of_replies)


def test_the_drawings(tmp_path):
    facts = {"judge": "j", "means": {"fluency": dict.fromkeys(VARIANTS, ESTIMATE | {"value": 3.0, "high": 3.2})}}
    one = plots.means([facts], {}, tmp_path / "one.png").read_bytes()
    people = {"raters": {"choices": 5, "shares": dict.fromkeys(VARIANTS, ESTIMATE)}}
    assert plots.means([facts], people, tmp_path / "two.png").read_bytes() != one
    assert plots.means([], people, tmp_path / "three.png").read_bytes().startswith(b"\x89PNG")
    rows = [
        {"criterion": "fluency", "voice": variant, "score": None if n == 0 else n / 5}
        for variant in VARIANTS
        for n in range(25)
    ]
    assert plots.distributions("j", rows, tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")
