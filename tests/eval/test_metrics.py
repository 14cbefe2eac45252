"""Every formula against values found by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import metrics


def test_perplexity_is_over_tokens_not_over_replies():
    scores = [[math.log(0.5)] * 3, [math.log(0.25)]]  # 3 ln 2 + 2 ln 2 over 4 tokens
    assert metrics.perplexity(scores, "mn").value == pytest.approx(2**1.25)
    assert metrics.perplexity(scores, "mn").value != pytest.approx((2 + 4) / 2)


def test_nats_per_byte_counts_utf8_bytes():
    scores = [[math.log(0.5), math.log(0.5)], [math.log(0.5)]]
    assert metrics.loss_per_byte(scores, ["abc", "caf\u00e9"], "mn").value == pytest.approx(3 * math.log(2) / 8)


def test_perplexity_per_byte_is_exp_of_the_loss_per_byte():
    scores, replies = [[-n / 10, math.log(0.5)] for n in range(12)], ["abc", "caf\u00e9"] * 6
    found = metrics.perplexity_per_byte(scores, replies, "abcdef" * 2)
    loss = metrics.loss_per_byte(scores, replies, "abcdef" * 2)
    assert [math.log(end) for end in found[:3]] == pytest.approx(loss[:3])


def test_a_hit_is_strict():
    assert metrics.hit([-1.0, -1.1, -5.0])
    assert not metrics.hit([-1.0, -1.0, -5.0])  # a tie counts against the model
    assert not metrics.hit([-1.0, -0.9])
    assert not metrics.hit([math.nan, -1.0])


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("wxyz")), min_size=2, max_size=30),
    st.integers(0, 9),
)
def test_distractors_are_others_and_as_many_for_everybody(said, seed):
    replies, groups = [reply for reply, _ in said], [group for _, group in said]
    drawn = metrics.distractors(replies, groups, 3, seed)
    own = {group: {reply for reply, its in said if its == group} for group in groups}
    assert {len(others) for others in drawn} == {min([3, *(len(set(replies) - own[group]) for group in groups)])}
    for group, others in zip(groups, drawn, strict=True):
        assert len(set(others)) == len(others)
        assert not set(others) & own[group]
    assert drawn == metrics.distractors(replies, groups, 3, seed)


def test_distractors_come_evenly_from_all_others():
    replies, groups = [f"r{i}" for i in range(40)], [str(i // 2) for i in range(40)]
    drawn = [metrics.distractors(replies, groups, 19, seed)[0] for seed in range(400)]
    share = {reply: sum(reply in others for others in drawn) / 400 for reply in replies}
    assert share["r0"] == share["r1"] == 0
    assert all(abs(share[reply] - 19 / 38) < 0.12 for reply in replies[2:])  # 4.8 standard errors


def test_distinct_by_hand():
    texts = ["the cat", "The dog ran", ""]
    assert metrics.distinct(texts, 1) == 4 / 5
    assert metrics.distinct(texts, 2) == 3 / 3
    assert metrics.distinct(["no no no"], 1) == 1 / 3
    assert metrics.distinct(["", "a"], 2) == 0


def test_repeated_by_hand():
    # "no no no no": (no, no, no) twice, one of two repeated; "a b c": nothing; "a b": too short to repeat
    assert metrics.repeated(["No no no no", "a b c", "a b"], 3, "mmn").value == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert metrics.repeated(["a b a b a b"], 2, "m").value == pytest.approx(1 - 2 / 5)
    assert metrics.repeated(["", "  "], 3, "mn").value == 0


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("As an AI, I cannot feel that.", True),
        ("I'm just a language model.", True),
        ("I am an AI, not a priest.", True),
        ("How may I assist you today?", True),
        ("I\u2019m a virtual assistant.", True),
        ("Is there anything else I can help with?", True),
        ("Here is a realistic reply: No.", True),
        ("I can't assist with that.", True),
        ("I hope this helps!", True),
        ("I'm here to help you.", False),
        ("Can I help you?", False),
        ("As an actor I'd say no.", False),
        ("I'm a model. I walk.", False),
        ("Here's looking at you, kid.", False),
        ("I'm aim to please.", False),
        ("", False),
    ],
)
def test_assistant_speak(text, speaks):
    assert metrics.assistant_speak(text) == speaks


@pytest.mark.parametrize(
    ("text", "explains"),
    [
        ("This is a classic example of a scene from The Godfather.", True),
        ("(He turns away.) I know.", True),
        ("[Door slams.]", True),
        ("*leans in* Say that again.", True),
        ("**John:** Where?", True),
        ("JOHN: Where is she?", True),
        ("INT. KITCHEN - NIGHT", True),
        ("The protagonist, a young woman, has no idea.", True),
        ("As an AI language model, I have no mother.", True),
        ("Listen: I was there.", False),
        ("It's *mine*.", False),
        ("Don't make any scene with my mother.", False),
        ("What a character you are.", False),
        ("I saw it (twice).", True),
        ("Where were you last night?", False),
    ],
)
def test_explains_or_directs(text, explains):
    assert metrics.explains_or_directs(text) == explains


def test_distinct_at_an_equal_budget():
    few, many = ["a b c d"], ["a b c d", "a b e f"]
    assert metrics.ngram_count(many, 1) == 8
    assert metrics.distinct_at(few, 1, 4) == 1.0
    assert metrics.distinct_at(many, 1, 4) == 1.0  # one of its texts, whichever comes first
    assert metrics.distinct_at(many, 1, 8) == 6 / 8
    assert metrics.distinct_at(many, 2, 3, draws=1) == 1.0
    assert metrics.distinct_at([""], 1, 0) == 0.0
    same = metrics.distinct_at(["x y", "x z", "x x"] * 9, 1, 7, seed=3)
    assert same == metrics.distinct_at(["x y", "x z", "x x"] * 9, 1, 7, seed=3)
    assert metrics.distinct_at(many, 1, 6) == pytest.approx(4 / 6)  # a b c d a b, or a b e f a b


def test_what_stands_in_training_lines():
    lines = ["I told you, not tonight.", "You never loved me at all, did you?", "Yes."]
    texts = ["i told you, NOT tonight.", "Yes.", "He said you never loved me at dinner.", "Nothing of it is in there."]
    found = metrics.training_overlap(texts, lines)
    # 5 words or more: the first, the third, the fourth; "Yes." is everybody's
    assert metrics.copied(texts, found, "mmnn") == (1 / 3, None, None, None, 2)
    # runs of five: "i told you , not" has 7 tokens and 3 runs, all in; the third 9 tokens and 5 runs, one in
    # ("you never loved me at"); the fourth 7 tokens and 3 runs, none
    assert metrics.overlap(texts, found, "mmnn").value == pytest.approx((3 + 1 + 0) / (3 + 5 + 3))
    assert metrics.copied(["Yes.", ""], found, "mn") is None
    assert metrics.overlap(["Yes.", ""], found, "mn") is None
    assert metrics.copied(texts, metrics.training_overlap(texts, []), "mmnn").value == 0


def test_length_quantiles():
    assert metrics.length_quantiles([" ".join("w" * n) for n in range(11)]) == (1, 5, 9)


def test_preference_counts_ties_as_half():
    found = metrics.win_rate([0.9, 0.51, 0.2, 0.5, 0.99], [False, False, False, False, True], "abcde")
    assert found.rate.value == pytest.approx((1 + 1 + 0 + 0.5 + 0.5) / 5)
    assert found.ties == 2 / 5


def test_ties_neither_hide_nor_feign_a_preference():
    films = [str(n % 20) for n in range(100)]
    decided = metrics.win_rate(([0.9] * 37 + [0.1] * 21) * 1, [False] * 58, films[:58]).rate
    rate, ties = metrics.win_rate([0.9] * 37 + [0.1] * 21 + [0.7] * 42, [False] * 58 + [True] * 42, films)
    assert (rate.value, ties) == (pytest.approx(0.58), 0.42)
    assert rate.p_value == decided.p_value  # ties have no side, whatever their number
    alike = metrics.win_rate([0.5, 0.9] * 6, [False, True] * 6, films[:12])
    assert alike == ((0.5, 0.5, 0.5, 1.0, 12), 1.0)
    assert metrics.win_rate([0.9, 0.2], [False, False], ["m", "n"]).rate == (0.5, None, None, None, 2)


def test_two_films_have_no_interval_and_six_have():
    """Audit: intervals over 2 films covered 51%, and were printed bare."""
    scores = [[-1.0 - n / 10, -2.0] for n in range(12)]
    assert metrics.perplexity(scores, ["m", "n"] * 6)[1:] == (None, None, None, 2)
    _, low, high, _, films = metrics.perplexity(scores, [str(n % 6) for n in range(12)])
    assert films == 6
    assert math.exp(1.5) < low < math.exp(1.5 + 0.55 / 2) < high < math.exp(1.5 + 1.1 / 2)
