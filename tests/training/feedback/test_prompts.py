"""Written prompts: scenes from the grid, lines filtered and told apart, asked for until there are enough."""

import json
import os
import random

import pytest

from eval.judge.capabilities import Capabilities
from eval.judge.client import Client
from hub.errors import UserError
from training.feedback import prompts
from training.feedback.near_duplicates import near_duplicates, words
from training.feedback.sampling import similarity

MANY = 8_000 if os.environ.get("REPARTEE_PROOF") else 2_000
WORDS = [f"word{n}" for n in range(3_000)]


def line(chance: random.Random, count: int = 12) -> list[str]:
    return chance.sample(WORDS, count)


def test_planted_near_duplicates_are_found_and_distinct_lines_kept():
    """An eighth of the lines again with 3 of 12 words changed (ROUGE-L 0.75), and with 4 (0.667)."""
    chance = random.Random(4)
    originals = [line(chance) for _ in range(MANY)]
    near, far = [], []
    for source in originals[: MANY // 8]:
        for changes, found in ((3, near), (4, far)):
            copy = list(source)
            for place in chance.sample(range(12), changes):
                copy[place] = f"new{chance.randrange(10**9)}"
            found.append(" ".join(copy))
    double = near_duplicates([" ".join(entry) for entry in originals] + near + far)
    assert not double[:MANY].any()
    assert double[MANY : MANY + MANY // 8].all()
    assert not double[MANY + MANY // 8 :].any()


def test_alike_is_rouge_l():
    chance = random.Random(1)
    for _ in range(50):
        first, second = " ".join(line(chance, 6)), " ".join(chance.choices(WORDS[:8], k=7))
        third = " ".join([*first.split()[: chance.randint(1, 6)], *line(chance, 3)])
        for one, other in ((first, second), (first, third)):
            assert near_duplicates([other], [one])[0] == (similarity(one, other) > 0.7)
    assert near_duplicates(["a b c", "A, b; c!", "x y z"], ["x y z w"]).tolist() == [False, True, True]
    assert near_duplicates([]).tolist() == []
    assert words("Don't GO, 7!") == ["don", "t", "go", "7"]


def test_a_line_is_like_one_that_was_kept_not_like_one_that_was_left_out():
    a, b, c = "a b c d e f g h i j", "a b c d e f g h x y", "a b c d e f z w x y"
    assert near_duplicates([a, b, c]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where did you put the money?", None),
        ("As an AI language model, I have no opinion.", "a refusal"),
        ("I'm sorry, but I can't help with that.", "a refusal"),
        ("I can't help you, Jim.", None),
        ("(sighs) Not again.", "a stage direction"),
        ("INT. KITCHEN - NIGHT", "a stage direction"),
        ("MARY: You came.", "a stage direction"),
        ("*slams the door*", "a stage direction"),
        ("No.", "too short or too long"),
        ("word " * 61, "too short or too long"),
    ],
)
def test_what_is_no_line(text, reason):
    assert prompts.line_defect(text) == reason


def test_lines_are_read_from_json_among_other_words():
    assert prompts.lines_of('Sure! {"lines": ["a  b", 7, "c"]} Enjoy.') == ["a b", "c"]
    for text in ("", "no json", '{"lines": "a"}', '{"other": []}', '{"lines": ["a"'):
        assert prompts.lines_of(text) == []


def test_scenes_hang_on_number_and_seed_and_the_grid_is_wide():
    lists = prompts.grid()
    assert list(lists) == ["genre", "relationship", "emotion", "situation", "era"]
    assert len({json.dumps(prompts.scene(n, 1, lists)) for n in range(2_000)}) > 1_980
    assert prompts.scene(7, 1, lists) == prompts.scene(7, 1, lists) != prompts.scene(7, 2, lists)
    asked = prompts.prompt_request(3, prompts.scene(3, 1, lists), Capabilities(20, True, True, True))
    assert asked.messages[0][1].startswith("Write 5 lines of film dialogue")
    assert asked.salt == 3


def test_enough_are_written_and_paid_for_once(served, tmp_path):
    stub, settings = served()
    with Client(settings, tmp_path / "c.sqlite", progress=False) as client:
        rows, counts = prompts.written_prompts(client, 60, 1, against=[])
    assert len(rows) == len({row["prompt"][-1]["content"] for row in rows}) == 60
    assert counts["calls"] >= 12
    assert set(rows[0]["scene"]) == set(prompts.grid())
    lines = [row["prompt"][-1]["content"] for row in rows]
    assert not near_duplicates(lines).any()
    calls = stub.calls
    with Client(settings, tmp_path / "c.sqlite", progress=False) as client:
        again, _ = prompts.written_prompts(client, 60, 1, against=[])
        assert again == rows
        fewer, counts = prompts.written_prompts(client, 60, 1, against=lines[:30])
    assert not set(lines[:30]) & {row["prompt"][-1]["content"] for row in fewer}
    assert counts["left out: like another line"] >= 30
    assert stub.calls > calls


def test_a_judge_that_writes_nothing_is_said(served, tmp_path):
    stub, settings = served()
    prose = stub.prose
    stub.prose = lambda prompt, *rest: prose(prompt, *rest) if "one letter" in prompt else "I would rather not."
    with Client(settings, tmp_path / "c", progress=False) as client, pytest.raises(UserError, match="no line"):
        prompts.written_prompts(client, 5, 1, against=[])
