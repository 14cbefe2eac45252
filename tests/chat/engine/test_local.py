"""The local engine: streaming, several visitors at once, stopping, failing, closing; one worker for all."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import closing

import pytest

from chat.engine.continuous_batch import MAX_BATCH_ROWS
from chat.engine.local import LocalEngine, to_partial
from chat.generate import Partial, generate
from chat.sampling import Sampling
from tests.support.engine_visitors import SECONDS, Gate, Visitor, wait_until
from tests.support.scenes import user_prompts

GREEDY = Sampling(temperature=0, max_new_tokens=12)
LONG = Sampling(temperature=0, max_new_tokens=64)
LINES = user_prompts(
    "Where were you last night?", "No.", "I have been thinking about it for a long, long while now, Harry."
)


@pytest.fixture
def engine(variants):
    with closing(LocalEngine(variants, "float32", every=0)) as engine:
        yield engine


@pytest.fixture
def gate(engine):
    engine._batch.decoder = Gate(engine.decoder)
    return engine._batch.decoder


def said(rows) -> list[tuple]:
    return [(row.text, row.finish_reason, row.tokens) for row in rows]


def test_streams_every_row_token_by_token(engine, variants):
    names = list(variants.names)
    stream = list(engine.stream(LINES, names, GREEDY))
    assert said(stream[-1]) == said(generate(variants, LINES, names, GREEDY))
    assert len(stream) == max(row.tokens for row in stream[-1])
    for number, rows in enumerate(stream, start=1):
        for row, final in zip(rows, stream[-1], strict=True):
            assert final.text.startswith(row.text)
            assert row.tokens == min(number, final.tokens)
            assert row.done == (number >= final.tokens)
            assert row.finish_reason == (final.finish_reason if row.done else None)


def test_a_character_shows_when_it_is_whole(tokenizer):
    ids = tokenizer.encode("Cut! 🎬 Zoë", add_special_tokens=False)
    texts = [to_partial(tokenizer, ids[:end], 64).text for end in range(len(ids) + 1)]
    assert texts[-1] == "Cut! 🎬 Zoë"
    assert all("Cut! 🎬 Zoë".startswith(text) for text in texts)
    assert texts.count("Cut!") > 1  # it waited for the rest


def test_a_row_is_done_at_its_stop_or_at_its_length(tokenizer):
    words = tokenizer.encode("No.", add_special_tokens=False)
    assert to_partial(tokenizer, words, 64) == Partial("No.", False, None, len(words))
    assert to_partial(tokenizer, words, len(words)) == Partial("No.", True, "length", len(words))
    assert to_partial(tokenizer, [*words, 2, 0, 0], 64) == Partial("No.", True, "<|im_end|>", len(words) + 1)
    assert to_partial(tokenizer, [*words, 0, 0], 64) == Partial("No.", True, "<|endoftext|>", len(words) + 1)


def test_visitors_join_a_running_batch_and_get_what_one_alone_gets(engine, gate):
    requests = [([line], [name], GREEDY) for line, name in zip(LINES, ("dpo", "base", "sft"), strict=True)]
    single = [list(engine.stream(*request))[-1] for request in requests]
    del gate.steps[:]
    with gate.held():
        first = Visitor(engine, *requests[0])
        wait_until(lambda: gate.steps)
        others = [Visitor(engine, *request) for request in requests[1:]]
        wait_until(lambda: len(engine._waiting) == 2)
    assert [said(visitor.last()) for visitor in [first, *others]] == [said(rows) for rows in single]
    assert gate.steps[:2] == [1, 3]  # those who waited joined at the next step


def test_a_seed_is_answered_as_if_nobody_else_asked(engine, gate):
    sampling, names = Sampling(max_new_tokens=12), list(engine.names)
    expected = said(list(engine.stream(LINES, names, sampling, 5))[-1])
    del gate.steps[:]
    with gate.held():
        other = Visitor(engine, LINES[:2], ["sft", "base"], Sampling(temperature=2))
        wait_until(lambda: gate.steps)
        visitors = [Visitor(engine, LINES, names, sampling, 5) for _ in range(3)]
        wait_until(lambda: len(engine._waiting) == 3)
    assert [said(visitor.last()) for visitor in visitors] == [expected] * 3
    assert other.last()


def test_rows_of_one_seed_and_of_two_differ(engine):
    wild = Sampling(temperature=2, top_k=0, top_p=1, max_new_tokens=6)
    replies = [list(engine.stream(LINES[:1] * 3, ["base"] * 3, wild, seed))[-1] for seed in (1, 2, None, None)]
    assert len({row.text for rows in replies for row in rows}) == 12


def test_each_request_has_its_own_sampling_in_one_batch(engine, gate):
    short, loose = Sampling(temperature=0, max_new_tokens=2), Sampling(top_k=3, max_new_tokens=5)
    expected = [said(list(engine.stream(LINES[:1], ["sft"], how, 1))[-1]) for how in (GREEDY, short, loose)]
    del gate.steps[:]
    with gate.held():
        blocker = Visitor(engine, LINES[1:2], ["base"], short)
        wait_until(lambda: gate.steps)
        visitors = [Visitor(engine, LINES[:1], ["sft"], how, 1) for how in (GREEDY, short, loose)]
        wait_until(lambda: len(engine._waiting) == 3)
    assert [said(visitor.last()) for visitor in visitors] == expected
    assert blocker.last()
    assert 4 in gate.steps


def test_who_does_not_fit_waits_and_nobody_overtakes(engine, gate):
    with gate.held():
        visitors = [Visitor(engine, LINES[:1], ["base"], GREEDY)]
        wait_until(lambda: gate.steps)
        for count in (MAX_BATCH_ROWS - 1, 2, 1):
            waiting = len(engine._waiting)
            visitors.append(Visitor(engine, LINES[:1] * count, ["base"] * count, GREEDY))
            wait_until(lambda seen=waiting: len(engine._waiting) == seen + 1)
    assert all(visitor.last() for visitor in visitors)
    assert gate.steps[:2] == [1, MAX_BATCH_ROWS]
    assert max(gate.steps) == MAX_BATCH_ROWS


def test_more_rows_than_a_batch_has_go_alone(engine):
    rows = list(engine.stream(LINES[:1] * (MAX_BATCH_ROWS + 1), ["base"] * (MAX_BATCH_ROWS + 1), GREEDY))[-1]
    assert len(set(said(rows))) == 1


@pytest.mark.usefixtures("endless")
def test_closing_the_iterator_stops_the_model(engine, gate):
    expected = said(list(engine.stream(LINES[:1], ["sft"], GREEDY))[-1])
    del gate.steps[:]
    stream = engine.stream(LINES, list(engine.names), LONG)
    next(stream)
    stream.close()
    after = said(list(engine.stream(LINES[:1], ["sft"], GREEDY))[-1])
    assert after == expected
    assert len(gate.steps) < LONG.max_new_tokens  # both requests together took fewer than the first alone would have


@pytest.mark.usefixtures("endless")
def test_a_stopped_visitor_does_not_stop_the_others(engine, gate):
    expected = said(list(engine.stream(LINES[1:2], ["dpo"], LONG))[-1])
    leaves = engine.stream(LINES, list(engine.names), LONG)
    next(leaves)
    with gate.held():
        stays = Visitor(engine, LINES[1:2], ["dpo"], LONG)
        wait_until(lambda: engine._waiting or len(engine._running) == 2)
        leaves.close()
    assert said(stays.last()) == expected
    assert gate.steps[-1] == 1


def test_a_visitor_who_left_while_waiting_is_not_answered(engine, gate):
    with gate.held():
        first = Visitor(engine, LINES[:1], ["base"], GREEDY)
        wait_until(lambda: gate.steps)
        second = Visitor(engine, LINES[1:2], ["base"], GREEDY)
        wait_until(lambda: len(engine._waiting) == 1)
        left = engine._waiting[0]
        left.stopped.set()
    assert first.last()
    assert set(gate.steps) == {1}
    left.finish(None)
    second.join(SECONDS)
    assert second.answers == []


def test_an_exception_reaches_its_caller_and_the_worker_lives_on(engine, monkeypatch):
    request = LINES, list(engine.names), GREEDY
    expected = said(list(engine.stream(*request))[-1])
    layer, calls = engine.decoder.body.layers[3].qkv.forward, Counter()

    def fail(*arguments):
        calls.update(["steps"])
        if calls["steps"] == 2:
            raise MemoryError("the third layer is out of memory")
        return layer(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(engine.decoder.body.layers[3].qkv, "forward", fail)
        with pytest.raises(MemoryError, match="third layer"):
            list(engine.stream(*request))
    assert said(list(engine.stream(*request))[-1]) == expected


def test_a_bad_request_is_its_caller_s_alone(engine):
    with pytest.raises(ValueError, match="no variant called nobody"):
        next(engine.stream(LINES[:1], ["nobody"], GREEDY))
    with pytest.raises(ValueError, match="1 prompts and 2 names"):
        next(engine.stream(LINES[:1], ["base", "sft"], GREEDY))
    with pytest.raises(ValueError, match="the model reads 2036; shorten it"):
        next(engine.stream(user_prompts("No. " * 2000), ["base"], GREEDY))
    assert list(engine.stream(LINES[:1], ["base"], GREEDY))


@pytest.mark.usefixtures("endless")
def test_close_ends_everybody_s_stream(variants):
    engine = LocalEngine(variants, "float32", every=0)
    health = r"local engine ready: \S*starter, 1\d\.\dM parameters, float32 on cpu; base, sft, dpo"
    assert re.fullmatch(health, engine.describe())
    gate = engine._batch.decoder = Gate(engine.decoder)
    running = engine.stream(LINES, list(variants.names), LONG)
    next(running)
    gate.open.clear()
    waiting = Visitor(engine, LINES[:1] * MAX_BATCH_ROWS, ["base"] * MAX_BATCH_ROWS, GREEDY)
    wait_until(lambda: engine._waiting)
    threading.Timer(0.2, gate.open.set).start()
    engine.close()
    engine.close()  # a second time does nothing
    waiting.join(SECONDS)
    assert isinstance(waiting.error, RuntimeError)
    with pytest.raises(RuntimeError, match="closed"):
        list(running)
    with pytest.raises(RuntimeError, match="closed"):
        next(engine.stream(LINES[:1], ["base"], GREEDY))
    assert engine.describe().startswith("local engine stopped")
