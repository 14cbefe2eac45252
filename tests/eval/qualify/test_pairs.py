"""Control pairs: from which rows, with what, and the same whatever the order."""

import pytest

from eval.qualify.pairs import control_pairs, draw_prompts, split_rows
from eval.rows import film_reply
from hub.errors import UserError
from hub.lineage import Input
from tests.support.planted import film_rows

ROWS = film_rows(8, 30)


def test_pairs_are_of_this_prompt_and_the_worse_reply_is_another():
    films = {film_reply(row): row["movie_id"] for row in ROWS}
    drawn = draw_prompts(ROWS, 40, seed=1)
    pairs = control_pairs(ROWS, drawn, seed=1)
    truth = {row["prompt"][-1]["content"]: film_reply(row) for row in ROWS}
    for pair in pairs:
        assert pair.better == truth[pair.prompt[-1]["content"]] != pair.worse
        if pair.control == "shuffled":
            assert films[pair.worse] != pair.film
        if pair.control == "same film":
            assert films[pair.worse] == pair.film
    assert len([pair for pair in pairs if pair.control == "shuffled"]) == 40


def test_shuffled_replies_are_of_like_length():
    pairs = [pair for pair in control_pairs(ROWS, ROWS, 1) if pair.control == "shuffled"]
    assert sum(abs(len(pair.better.split()) - len(pair.worse.split())) for pair in pairs) / len(pairs) < 0.2


def test_a_prompts_controls_hang_on_the_seed_and_not_on_the_order():
    drawn = draw_prompts(ROWS, 20, seed=1)
    one, two = control_pairs(ROWS, drawn, 1), control_pairs(ROWS, drawn[::-1], 1)
    assert sorted(map(repr, one)) == sorted(map(repr, two))
    assert one != control_pairs(ROWS, drawn, 2)


def test_no_film_gives_more_than_its_share():
    drawn = draw_prompts(ROWS, 1_000, seed=1)
    assert len(drawn) == 8 * 20


def test_a_dataset_without_the_split_is_one_line(monkeypatch):
    monkeypatch.setattr("eval.qualify.pairs.splits", lambda dialogue: ["train"])
    with pytest.raises(UserError, match=r"n/d has no validation pairs to qualify a judge on"):
        split_rows(Input("n/d", "dataset", "r", "c"), "validation")
