"""Ranking by likelihood: the shortcut against the long way, and a planted answer."""

import pytest

from chat.generate import Reply
from chat.likelihood import log_probs, pmi
from eval import measure
from eval.ranking import log_probs_of_many


@pytest.mark.parametrize("name", ["base", "sft", "dpo"])
def test_one_row_says_what_separate_rows_say(variants, rows, name, monkeypatch):
    replies = [measure.film_reply(row) for row in rows] + ["", "No.", "Why? " * 12]
    expected = log_probs(variants, name, [(rows[0]["prompt"], reply) for reply in replies])
    for size in (512, 20):  # all in one row, and in several
        monkeypatch.setattr("eval.ranking.MAX_ROW_TOKENS", size)
        found = log_probs_of_many(variants, name, rows[0]["prompt"], replies)
        assert [len(scores) for scores in found] == [len(scores) for scores in expected]
        for scores, wanted in zip(found, expected, strict=True):
            assert scores == pytest.approx(wanted, abs=1e-3)


def test_ranks_are_those_of_pmi_and_likelihood(variants, rows):
    candidates = [[measure.film_reply(other) for other in rows if other is not row] for row in rows]
    ranked = measure.rank(variants, "sft", rows, candidates)
    for row, others, found in zip(rows, candidates, ranked, strict=True):
        pairs = [(row["prompt"], reply) for reply in [measure.film_reply(row), *others]]
        gains, means = pmi(variants, "sft", pairs), [sum(s) / len(s) for s in log_probs(variants, "sft", pairs)]
        assert found.hit_pmi == (max(gains) == gains[0])
        assert found.hit_likelihood == (max(means) == means[0])
        assert sum(found.log_probs) == pytest.approx(sum(log_probs(variants, "sft", pairs[:1])[0]), abs=1e-3)


def test_pmi_finds_what_blandness_hides(rows, monkeypatch):
    """A planted variant: bland replies are likely anywhere, the true one is made likelier by its prompt alone."""

    def planted(variants, name, prompt, replies):
        told = prompt[-1]["content"]
        true = {row["prompt"][-1]["content"]: measure.film_reply(row) for row in rows}
        return [[-1.0] if reply == "Yes." else [-3.0] if reply == true.get(told) else [-5.0] for reply in replies]

    monkeypatch.setattr(measure, "log_probs_of_many", planted)
    candidates = [["Yes.", measure.film_reply(rows[index - 1])] for index in range(len(rows))]
    ranked = measure.rank(None, "base", rows, candidates)
    assert all(entry.hit_pmi for entry in ranked)
    assert not any(entry.hit_likelihood for entry in ranked)
    replies = [Reply("Yes.", "<|im_end|>", 3)] * 3 + [Reply("", "<|endoftext|>", 1)] + [Reply("So", "length", 64)] * 2
    found = measure.measure_variant(rows, replies, ranked, None, seed=1)
    assert found["hits_pmi"].value == 1
    assert found["hits_likelihood"].value == 0
    assert (found["stop_rate"].value, found["endoftext_rate"].value, found["empty_rate"].value) == (3 / 6, 1 / 6, 1 / 6)
    assert found["copied"] is found["overlap"] is None  # no training lines are known: missing, never zero
    assert found["perplexity"] == pytest.approx([2.718281828**3] * 3)


def test_two_system_messages_have_no_one_empty_prompt(rows):
    rows[1]["prompt"] = [{"role": "system", "content": "Sing."}, rows[1]["prompt"][1]]
    with pytest.raises(ValueError, match="system"):
        measure.rank(None, "base", rows, [[] for _ in rows])


class FirstShown:
    """A judge with a position bias that likes "good" above all."""

    name = "first shown"

    def compare(self, items):
        return [0.9 if first == "good" else 0.3 if second == "good" else 0.7 for _, first, second in items]


def test_both_orders_are_averaged(rows):
    def said(*texts):
        return [Reply(text, "<|im_end|>", 1) for text in texts]

    found = measure.compare_replies(
        FirstShown(), rows[:4], said("good", "bad", "bad", "bad"), said("bad", "good", "worse", "bad")
    )
    assert found.first_better[0] == pytest.approx([0.9, 0.7])
    assert found.first_better[2] == pytest.approx([0.7, 0.3])  # the bias alone: a tie once both orders are asked
    assert found.preference.rate.value == (1 + 0 + 0.5 + 0.5) / 4
    assert found.preference.ties == 0.5
