"""The base's format is the one that is better for it, whichever that is, and the adapters keep theirs."""

import pytest

from chat.plain_lines import PlainLines
from chat.reply_format import ChatTurns
from eval.base_format import base_in, choose_format, text_nats
from tests.support.line_models import EXCHANGES, taught_base
from tests.support.scenes import user_prompts

PAIRS = [
    {"prompt": user_prompts(line)[0], "completion": [{"role": "assistant", "content": reply}], "movie_id": f"m{index}"}
    for index, (line, reply) in enumerate(EXCHANGES)
]


@pytest.mark.parametrize(("form", "wanted"), [(PlainLines, "plain"), (ChatTurns, "chat")])
def test_a_base_is_asked_as_it_was_taught(tmp_path, form, wanted):
    variants = taught_base(tmp_path, form, steps=30)
    choice = choose_format(variants, PAIRS)
    assert {choice.chosen, choice.other} == {"chat", "plain"}
    assert choice.chosen == wanted
    assert choice.validation[choice.chosen] < choice.validation[choice.other] - 0.1
    size = sum(len(reply.encode()) for _, reply in EXCHANGES)
    assert choice.validation == {
        name: pytest.approx(sum(text_nats(base_in(variants, name), "base", PAIRS)) / size) for name in ("chat", "plain")
    }
    chosen = base_in(variants, choice.chosen)
    assert (chosen.format_of("base").name, chosen.format_of("sft").name) == (wanted, "chat")


def test_without_pairs_there_is_no_choice():
    choice = choose_format(None, [])
    assert (choice.chosen, choice.other, choice.validation) == ("chat", "plain", {})


@pytest.mark.parametrize(
    ("gains", "wanted"),
    [
        ([2.0, -1.9, 1.5, -1.4, 1.2, -1.1, 1.0, -0.9], "chat"),  # better by 0.05 nats on average: by chance
        ([2.0, 0.3, 1.5, 0.4, 1.2, 0.2, 1.0, 0.1], "plain"),
        ([0.1, -0.05], "plain"),  # two films: too few to tell chance
        ([-2.0, -0.3, -1.5, -0.4, -1.2, -0.2, -1.0, -0.1], "chat"),
    ],
)
def test_plain_lines_must_be_better_beyond_chance(monkeypatch, gains, wanted):
    pairs = [{"completion": [{"content": "x" * 10}], "movie_id": f"m{index}"} for index in range(len(gains))]
    nats = {"chat": [10.0 + gain for gain in gains], "plain": [10.0] * len(gains)}
    monkeypatch.setattr("eval.base_format.base_in", lambda variants, name: name)
    monkeypatch.setattr("eval.base_format.text_nats", lambda variants, name, pairs: nats[variants])
    choice = choose_format(None, pairs)
    assert choice.chosen == wanted
    assert choice.validation == {"chat": pytest.approx(1 + sum(gains) / len(gains) / 10), "plain": pytest.approx(1.0)}
