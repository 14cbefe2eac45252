"""Summary of scores: clustered means and gains, tails, correlations, and what planted refusals may not do."""

import numpy as np
import pytest

from eval.geval.ask import GevalItem, Question, score_items
from eval.geval.criteria import CRITERIA
from eval.geval.summary import (
    correlate_criteria,
    correlation_matrix,
    count_scores,
    estimate_cell,
    gains,
    low_tails,
    mean_scores,
    on_one_scale,
    summarize_scores,
)
from eval.judge.capabilities import Capabilities
from eval.judge.client import Client

PROMPT = [{"role": "user", "content": "Who is it?"}]
CRITERION = "fluency"


def score_rows(scores, per_film=2, criterion=CRITERION):
    """Rows of scores by variant, some items a film."""
    return [
        {"item": item, "movie_id": f"m{item // per_film}", "voice": variant, "criterion": criterion, "score": score,
         "mass": 1.0, "refused": False, "alternatives": "[]", "samples": []}
        for variant, own in scores.items() for item, score in enumerate(own)
    ]  # fmt: skip


@pytest.mark.parametrize("by_token", [True, False])
def test_planted_refusals_are_counted_and_shift_no_difference(served, tmp_path, by_token):
    """15% of all are refused, all of them of the better variant: as tails of 1.0 they would reverse the difference."""
    share, count, difference = 0.15, 250, 0.21
    stub, settings = served(opinion=lambda text: 0.5 + (difference / 4 if text.startswith("dpo") else 0), messy=False)
    stub.refusals = 2 * share
    refuses_to = stub.refuses_to
    stub.refuses_to = lambda prompt: "Reply: dpo" in prompt and refuses_to(prompt)
    items = [
        GevalItem(n, f"m{n // 5}", variant, PROMPT, f"{variant} {n}")
        for n in range(count)
        for variant in ("sft", "dpo")
    ]
    capabilities = Capabilities(20 if by_token else 0, True, True, True)
    question = Question(CRITERIA[CRITERION], ["Read.", "Score."], by_token)
    with Client(settings, tmp_path / "judge.sqlite", progress=False) as client:
        rows, _ = score_items(client, items, [question], capabilities)
    counts = count_scores(rows)
    assert counts["refused"] / len(rows) == pytest.approx(share, abs=0.03)
    assert counts["unscored"] == counts["refused"]
    assert all(row["score"] is None for row in rows if row["refused"])
    found = gains(rows)[CRITERION]["dpo - sft"]
    assert found.value == pytest.approx(difference, abs=0.03 if by_token else 0.06)


def test_means_and_gains_have_films_as_their_clusters():
    """Items of one film all say the same: with a film's items as one, the interval is that of the films."""
    generator = np.random.default_rng(0)
    films = generator.normal(3.0, 0.5, 40)
    many = score_rows({"sft": np.repeat(films, 10), "base": np.repeat(films - 0.1, 10)}, per_film=10)
    one = score_rows({"sft": films, "base": films - 0.1}, per_film=1)
    wide, narrow = (mean_scores(rows)[CRITERION]["sft"] for rows in (many, one))
    assert wide.value == pytest.approx(films.mean())
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=0.1)
    assert gains(many)[CRITERION]["sft - base"].value == pytest.approx(0.1)


def test_below_six_films_there_is_no_interval_but_the_count():
    rows = score_rows({"sft": [4.0, 5.0] * 5, "base": [3.0, 3.0] * 5})
    found = summarize_scores(rows)
    assert found["means"][CRITERION]["sft"] == {
        "value": 4.5, "low": None, "high": None, "p_value": None, "clusters": 5,
    }  # fmt: skip
    assert estimate_cell(found["gains"][CRITERION]["sft - base"], "{:+.2f}") == "+1.50 (5 films: too few)"
    assert estimate_cell(None, "{:+.2f}") == "-"


def test_p_values_are_adjusted_for_all_gains_that_are_shown():
    generator = np.random.default_rng(1)
    scores = {
        "base": generator.normal(3, 1, 40),
        "sft": generator.normal(3.4, 1, 40),
        "film": generator.normal(3, 1, 40),
    }
    alone = gains(score_rows({name: scores[name] for name in ("base", "sft")}))[CRITERION]["sft - base"]
    among = gains(score_rows(scores))[CRITERION]["sft - base"]
    assert among.p_value > alone.p_value
    assert among[:3] == alone[:3]
    bold = estimate_cell(alone._replace(p_value=0.01)._asdict(), "{:+.2f}")
    assert bold.startswith("**+0.")
    assert not estimate_cell(alone._replace(p_value=0.06)._asdict(), "{:+.2f}").startswith("**")


def test_a_gain_is_over_the_prompts_where_both_were_scored():
    rows = score_rows({"sft": [4.0, 5.0, 1.0] * 4, "base": [3.0, 3.0, 5.0] * 4})
    kept = [row | {"score": None} if row["voice"] == "sft" and row["item"] % 3 == 2 else row for row in rows]
    assert gains(kept)[CRITERION]["sft - base"].value == pytest.approx(1.5)
    assert gains([row | {"score": None} for row in rows]) == {}


def test_the_controls_are_compared_with_every_variant():
    scores = dict.fromkeys(("base", "sft", "dpo", "film", "shuffled"), [3.0, 4.0] * 8)
    assert list(gains(score_rows(scores))[CRITERION]) == [
        "sft - base", "dpo - sft", "film - base", "film - sft", "film - dpo", "base - shuffled", "sft - shuffled",
        "dpo - shuffled", "film - shuffled",
    ]  # fmt: skip


def test_the_low_score_tail_is_seen_where_the_mean_is_not():
    steady, tailed = [3.0] * 100, [1.0] * 10 + [3.0] * 70 + [4.0] * 20
    found = low_tails(score_rows({"dpo": steady, "sft": tailed}))[CRITERION]
    assert np.mean(steady) == np.mean(tailed)
    assert found["dpo"] == {"5%": 3.0, "10%": 3.0, "25%": 3.0}
    assert found["sft"]["5%"] == 1.0
    assert found["sft"]["25%"] == 3.0


def test_criteria_that_are_one_are_named():
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=200), generator.normal(size=200)
    rows = [
        row
        for criterion, own in {"a": one, "b": one + 0.01 * other, "c": other, "flat": np.ones(200)}.items()
        for row in score_rows({"sft": own}, criterion=criterion)
    ]
    found = correlate_criteria(rows)
    assert found["a"]["b"] == found["b"]["a"] > 0.95
    assert abs(found["a"]["c"]) < 0.2
    assert found["a"]["flat"] is None
    said = correlation_matrix(found)
    assert "two criteria are one to this judge: a and b." in said
    assert "| flat | - | - | - | 1.00 |" in said


def test_criteria_of_different_scales_are_averaged_as_shares():
    rows = score_rows({"sft": [3.0, 5.0]}, criterion="a") + score_rows({"sft": [1.0, 0.25]}, criterion="b")
    assert on_one_scale(rows, {}) == rows
    found = on_one_scale([*rows, rows[0] | {"score": None}], {"criteria": {"b": {"scale": [0, 1]}}})
    assert [row["score"] for row in found] == [0.5, 1.0, 1.0, 0.25, None]
