"""Ranking by likelihood: the shortcut against the long way, and a planted answer."""

import pytest

from chat.generate import Reply
from chat.likelihood import log_probs, pmi
from eval import measure
from eval.compute import reader
from eval.ranking import log_probs_of_many
from eval.rows import film_reply


@pytest.mark.parametrize("name", ["base", "sft", "dpo"])
def test_one_row_says_what_separate_rows_say(variants, rows, name, monkeypatch):
    replies = [film_reply(row) for row in rows] + ["", "No.", "Why? " * 12]
    expected = log_probs(variants, name, [(rows[0]["prompt"], reply) for reply in replies])
    for size in (512, 20):  # all in one row, and in several
        monkeypatch.setattr("eval.ranking.MAX_ROW_TOKENS", size)
        found = log_probs_of_many(variants, name, rows[0]["prompt"], replies)
        assert [len(scores) for scores in found] == [len(scores) for scores in expected]
        for scores, wanted in zip(found, expected, strict=True):
            assert scores == pytest.approx(wanted, abs=1e-3)


def test_a_merged_copy_ranks_as_the_variant_does(variants, rows, tmp_path):
    candidates = [[film_reply(other) for other in rows if other is not row] for row in rows]
    for name in ("base", "dpo"):
        copy = reader(variants, name)
        assert copy.names == (name,)
        one = measure.rank(copy, name, rows, candidates, tmp_path / f"{name}-copy.jsonl")
        other = measure.rank(variants, name, rows, candidates, tmp_path / f"{name}.jsonl")
        for mine, theirs in zip(one, other, strict=True):
            assert mine.log_probs == pytest.approx(theirs.log_probs, abs=1e-3)


def test_ranks_are_those_of_pmi_and_likelihood(variants, rows, tmp_path):
    candidates = [[film_reply(other) for other in rows if other is not row] for row in rows]
    ranked = measure.rank(variants, "sft", rows, candidates, tmp_path / "ranks.jsonl")
    for row, others, found in zip(rows, candidates, ranked, strict=True):
        pairs = [(row["prompt"], reply) for reply in [film_reply(row), *others]]
        gains, means = pmi(variants, "sft", pairs), [sum(s) / len(s) for s in log_probs(variants, "sft", pairs)]
        assert found.hit_pmi == (max(gains) == gains[0])
        assert found.hit_likelihood == (max(means) == means[0])
        assert sum(found.log_probs) == pytest.approx(sum(log_probs(variants, "sft", pairs[:1])[0]), abs=1e-3)


def test_pmi_finds_what_blandness_hides(rows, monkeypatch, tmp_path):
    """A planted variant: bland replies are likely anywhere, the true one is made likelier by its prompt alone."""

    def planted(variants, name, prompt, replies):
        told = prompt[-1]["content"]
        true = {row["prompt"][-1]["content"]: film_reply(row) for row in rows}
        return [[-1.0] if reply == "Yes." else [-3.0] if reply == true.get(told) else [-5.0] for reply in replies]

    monkeypatch.setattr(measure, "log_probs_of_many", planted)
    candidates = [["Yes.", film_reply(rows[index - 1])] for index in range(len(rows))]
    ranked = measure.rank(None, "base", rows, candidates, tmp_path / "ranks.jsonl")
    assert all(entry.hit_pmi for entry in ranked)
    assert not any(entry.hit_likelihood for entry in ranked)
    replies = [Reply("Yes.", "<|im_end|>", 3)] * 3 + [Reply("", "<|endoftext|>", 1)] + [Reply("So", "length", 64)] * 2
    found = measure.measure_variant(rows, replies, ranked, None)
    assert found["hits_pmi"].value == 1
    assert found["hits_likelihood"].value == 0
    assert (found["stop_rate"].value, found["endoftext_rate"].value, found["empty_rate"].value) == (3 / 6, 1 / 6, 1 / 6)
    assert found["copied"] is found["overlap"] is None  # no training lines are known: missing, never zero
    assert found["perplexity"].value == pytest.approx(2.718281828**3)


def test_pmi_is_summed_so_that_a_long_reply_that_answers_beats_a_short_one(rows, monkeypatch, tmp_path):
    """0.5 nats on each of 8 tokens are more than 2 nats on one, though their mean is less."""

    def planted(variants, name, prompt, replies):
        gains = {"No.": [2.0]} if prompt[-1]["content"] else {"No.": [0.0]}
        return [gains.get(reply, [0.5 if prompt[-1]["content"] else 0.0] * 8) for reply in replies]

    monkeypatch.setattr(measure, "log_probs_of_many", planted)
    (found,) = measure.rank(None, "base", rows[:1], [["No."]], tmp_path / "ranks.jsonl")
    assert found.hit_pmi
    assert not found.hit_likelihood


def test_a_killed_ranking_carries_on_where_it_was(rows, monkeypatch, tmp_path):
    asked, path, candidates = [], tmp_path / "a" / "ranks.jsonl", [["No."]] * len(rows)

    def planted(variants, name, prompt, replies):
        if prompt[-1]["content"]:
            asked.append(prompt[-1]["content"])
            if len(asked) == 4:
                raise KeyboardInterrupt
        return [[-float(len(reply)), -1.0] for reply in replies]

    monkeypatch.setattr(measure, "log_probs_of_many", planted)
    with pytest.raises(KeyboardInterrupt):
        measure.rank(None, "base", rows, candidates, path)
    with path.open("a") as file:
        file.write("[[-1.0, ")  # cut short
    resumed = measure.rank(None, "base", rows, candidates, path)
    assert len(asked) == 4 + len(rows) - 3
    assert resumed == measure.rank(None, "base", rows, candidates, tmp_path / "unbroken.jsonl")
    assert measure.rank(None, "base", rows, candidates, path) == resumed


def test_an_end_that_a_base_never_saw_is_no_part_of_the_headline(rows):
    """A base that pays 18 nats an end, and has the text as likely as the other: beside it, not below it."""
    ranked = {
        name: [measure.Ranked([-3.0, -2.0, -end], True, True)] * len(rows)
        for name, end in {"base": 18, "sft": 1}.items()
    }
    replies = [Reply("So.", "<|im_end|>", 2)] * len(rows)
    base, sft = (measure.measure_variant(rows, replies, ranked[name], None) for name in ("base", "sft"))
    assert base["text_nats_per_byte"] == sft["text_nats_per_byte"]
    assert base["end_nats"].value - sft["end_nats"].value == pytest.approx(17)
    paired = measure.paired_metrics(rows, ranked)["sft - base"]
    assert paired["text_nats_per_byte"].value == 0
    assert "nats_per_byte" not in paired


def test_two_system_messages_have_no_one_empty_prompt(rows, tmp_path):
    rows[1]["prompt"] = [{"role": "system", "content": "Sing."}, rows[1]["prompt"][1]]
    with pytest.raises(ValueError, match="system"):
        measure.rank(None, "base", rows, [[] for _ in rows], tmp_path / "ranks.jsonl")


class FirstShown:
    """A judge with a position bias that likes "good" above all."""

    name = "first shown"

    def compare(self, items):
        return [0.9 if first == "good" else 0.3 if second == "good" else 0.7 for _, first, second in items]


def test_both_orders_are_averaged(rows):
    found = measure.compare_replies(
        FirstShown(), rows[:4], ["good", "bad", "bad", "bad"], ["bad", "good", "worse", "bad"]
    )
    assert found.first_better[0] == pytest.approx([0.9, 0.7])
    assert found.first_better[2] == pytest.approx([0.7, 0.3])  # the bias alone: a tie once both orders are asked
    assert found.preference.rate.value == (1 + 0 + 0.5 + 0.5) / 4
    assert found.preference.ties == 0.5


def test_metrics_by_source(rows):
    ranked = [measure.Ranked([-1.0, -1.0], index < 3, False) for index in range(len(rows))]
    replies = [Reply("So it is.", "<|im_end|>", 3)] * len(rows)
    found = measure.measure_by_source(rows, {"sft": (replies, ranked)})
    assert {source: (own["prompts"], own["films"]) for source, own in found.items()} == {
        "ours": (4, 2),
        "theirs": (2, 1),
    }
    shares = {source: own["voices"]["sft"]["hits_pmi"].value for source, own in found.items()}
    assert shares == {"ours": 3 / 4, "theirs": 0}
    assert set(found["ours"]["voices"]["sft"]) == set(measure.SOURCE_METRICS)
    one = [{**row, "source": "ours"} for row in rows]
    assert measure.measure_by_source(one, {"sft": (replies, ranked)}) == {}
    unnamed = [{name: value for name, value in row.items() if name != "source"} for row in rows]
    assert measure.measure_by_source(unnamed, {"sft": (replies, ranked)}) == {}
