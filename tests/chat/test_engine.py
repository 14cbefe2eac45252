"""The engine: streaming, several visitors, stopping, failing, closing. One worker, and nobody hears another's voice."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager

import pytest
from scenes import asked, hooks

import chat.engine
from chat.engine import MOST_ROWS, LocalEngine, Partial, partial
from chat.generate import generate
from chat.sampling import Sampling

GREEDY = Sampling(temperature=0, max_new_tokens=12)
LONG = Sampling(temperature=0, max_new_tokens=64)
LINES = asked("Where were you last night?", "No.", "I have been thinking about it for a long, long while now, Harry.")
SECONDS = 60  # of patience; a test that waits this long has found a deadlock


@pytest.fixture
def engine(voices):
    with closing(LocalEngine(voices)) as engine:
        yield engine


@pytest.fixture
def batches(monkeypatch):
    """How many rows each batch had, as the batches are begun."""
    begun = []

    def sample(voices, rows, *arguments, **options):
        begun.append(len(rows))
        return original(voices, rows, *arguments, **options)

    original = chat.engine.sample
    monkeypatch.setattr(chat.engine, "sample", sample)
    return begun


@contextmanager
def steps(voices):
    """Counts the forward passes of the model."""
    count = Counter()
    hook = voices.model.get_base_model().register_forward_hook(lambda *_: count.update(["steps"]))
    try:
        yield count
    finally:
        hook.remove()


class Visitor(threading.Thread):
    """Somebody who asks and reads to the end."""

    def __init__(self, engine, *request):
        super().__init__(daemon=True)
        self.answers, self.error = [], None
        self.ask = lambda: engine.stream(*request)
        self.start()

    def run(self):
        try:
            self.answers.extend(self.ask())
        except Exception as error:
            self.error = error

    def last(self) -> list[Partial]:
        self.join(SECONDS)
        assert not self.is_alive()
        assert self.error is None
        return self.answers[-1]


def wait_until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(rows) -> list[tuple]:
    return [(row.text, row.ended, row.tokens) for row in rows]


def test_streams_every_row_token_by_token(engine, voices):
    names = list(voices.names)
    stream = list(engine.stream(LINES, names, GREEDY))
    assert said(stream[-1]) == said(generate(voices, LINES, names, GREEDY))
    assert len(stream) == max(row.tokens for row in stream[-1])
    for number, rows in enumerate(stream, start=1):
        for row, final in zip(rows, stream[-1], strict=True):
            assert final.text.startswith(row.text)
            assert row.tokens == min(number, final.tokens)
            assert row.done == (number >= final.tokens)
            assert row.ended == (final.ended if row.done else None)


def test_a_character_shows_when_it_is_whole(tokenizer):
    ids = tokenizer.encode("Cut! 🎬 Zoë", add_special_tokens=False)
    texts = [partial(tokenizer, ids[:end], 64).text for end in range(len(ids) + 1)]
    assert texts[-1] == "Cut! 🎬 Zoë"
    assert all("Cut! 🎬 Zoë".startswith(text) for text in texts)
    assert texts.count("Cut!") > 1  # it waited for the rest


def test_a_row_is_done_at_its_stop_or_at_its_length(tokenizer):
    words = tokenizer.encode("No.", add_special_tokens=False)
    assert partial(tokenizer, words, 64) == Partial("No.", False, None, len(words))
    assert partial(tokenizer, words, len(words)) == Partial("No.", True, "length", len(words))
    assert partial(tokenizer, [*words, 2, 0, 0], 64) == Partial("No.", True, "<|im_end|>", len(words) + 1)
    assert partial(tokenizer, [*words, 0, 0], 64) == Partial("No.", True, "<|endoftext|>", len(words) + 1)


def test_three_visitors_at_once_get_what_one_gets(engine, voices, batches):
    requests = [([line], [name], GREEDY) for line, name in zip(LINES, ("dpo", "base", "sft"), strict=True)]
    single = [list(engine.stream(*request))[-1] for request in requests]
    del batches[:]
    with voices.exclusive():  # the worker is held at its first batch, so that the others must wait
        first = Visitor(engine, *requests[0])
        wait_until(lambda: batches)
        others = [Visitor(engine, *request) for request in requests[1:]]
        wait_until(lambda: len(engine._waiting) == 2)
    assert [said(visitor.last()) for visitor in [first, *others]] == [said(rows) for rows in single]
    assert batches == [1, 2]  # those who waited shared a batch


def test_a_seed_is_answered_as_if_nobody_else_asked(engine, voices, batches):
    sampling, names = Sampling(max_new_tokens=12), list(voices.names)
    line = LINES[:1] * 3
    expected = said(generate(voices, line, names, sampling, seed=5))
    with voices.exclusive():
        visitors = [Visitor(engine, line, names, sampling, 5)]
        wait_until(lambda: batches)
        visitors += [Visitor(engine, line, names, sampling, 5) for _ in range(2)]
        wait_until(lambda: len(engine._waiting) == 2)
    assert [said(visitor.last()) for visitor in visitors] == [expected] * 3
    assert batches == [3, 3, 3]


def test_without_a_seed_every_answer_is_new(engine):
    request = LINES, ["base"] * 3, Sampling(temperature=2, top_k=0, top_p=1, max_new_tokens=6)
    assert said(list(engine.stream(*request))[-1]) != said(list(engine.stream(*request))[-1])


def test_other_sampling_and_too_many_rows_wait_for_the_next_batch(engine, voices, batches):
    other = Sampling(temperature=0, max_new_tokens=2)
    with voices.exclusive():
        visitors = [Visitor(engine, LINES[:1], ["base"], other)]
        wait_until(lambda: batches)
        for request in [
            (LINES[:1] * (MOST_ROWS - 1), ["base"] * (MOST_ROWS - 1), other),
            (LINES[:2], ["base"] * 2, other),
            (LINES[:1], ["base"], GREEDY),
            (LINES[:1], ["sft"], other),
        ]:
            waiting = len(engine._waiting)
            visitors.append(Visitor(engine, *request))
            wait_until(lambda seen=waiting: len(engine._waiting) == seen + 1)
    assert all(visitor.last() for visitor in visitors)
    assert batches == [1, MOST_ROWS, 2, 1]


@pytest.mark.usefixtures("endless")
def test_closing_the_iterator_stops_the_model(engine, voices):
    expected = said(list(engine.stream(LINES[:1], ["sft"], GREEDY))[-1])
    with steps(voices) as count:
        stream = engine.stream(LINES, list(voices.names), LONG)
        next(stream)
        stream.close()
        after = said(list(engine.stream(LINES[:1], ["sft"], GREEDY))[-1])
    assert after == expected
    assert count["steps"] < LONG.max_new_tokens  # both requests together took fewer than the first alone would have


@pytest.mark.usefixtures("endless")
def test_a_stopped_visitor_does_not_stop_the_others(engine, voices, batches):
    expected = said(list(engine.stream(LINES[1:2], ["dpo"], LONG))[-1])
    del batches[:]
    with voices.exclusive():
        blocker = Visitor(engine, LINES[:1], ["base"], LONG)
        wait_until(lambda: batches)
        stays = Visitor(engine, LINES[1:2], ["dpo"], LONG)
        wait_until(lambda: len(engine._waiting) == 1)
        leaves = engine.stream(LINES[2:], ["sft"], LONG)
        reader = threading.Thread(target=lambda: (next(leaves), leaves.close()), daemon=True)
        reader.start()
        wait_until(lambda: len(engine._waiting) == 2)
    assert said(stays.last()) == expected
    reader.join(SECONDS)
    assert not reader.is_alive()
    assert blocker.last()
    assert batches == [1, 2]


def test_a_visitor_who_left_while_waiting_is_not_answered(engine, voices, batches):
    with voices.exclusive():
        first = Visitor(engine, LINES[:1], ["base"], GREEDY)
        wait_until(lambda: batches)
        second = Visitor(engine, LINES[1:2], ["base"], GREEDY)
        wait_until(lambda: len(engine._waiting) == 1)
        left = engine._waiting[0]
        left.stopped.set()
    assert first.last()
    third = Visitor(engine, LINES[2:], ["base"], GREEDY)
    assert third.last()
    assert batches == [1, 1]
    left.finish(None)
    second.join(SECONDS)
    assert second.answers == []


def test_an_exception_reaches_its_caller_and_the_worker_lives_on(engine, voices):
    request = LINES, list(voices.names), GREEDY
    expected = said(list(engine.stream(*request))[-1])
    layer, calls = voices.model.get_base_model().model.layers[3], Counter()

    def fail(*_):
        calls.update(["steps"])
        if calls["steps"] == 2:
            raise MemoryError("the third layer is out of memory")

    hook = layer.register_forward_hook(fail)
    with pytest.raises(MemoryError, match="third layer"):
        list(engine.stream(*request))
    hook.remove()
    assert said(list(engine.stream(*request))[-1]) == expected
    assert hooks(voices) == 0


def test_a_bad_request_is_its_caller_s_alone(engine):
    with pytest.raises(ValueError, match="no voice called nobody"):
        next(engine.stream(LINES[:1], ["nobody"], GREEDY))
    with pytest.raises(ValueError, match="1 prompts and 2 names"):
        next(engine.stream(LINES[:1], ["base", "sft"], GREEDY))
    assert list(engine.stream(LINES[:1], ["base"], GREEDY))


@pytest.mark.usefixtures("endless")
def test_close_ends_everybody_s_stream(voices):
    engine = LocalEngine(voices)
    assert re.fullmatch(r"engine ready: base, sft, dpo; 1\d\.\dM parameters, float32 on cpu", engine.describe())
    running = engine.stream(LINES, list(voices.names), LONG)
    next(running)
    waiting = Visitor(engine, LINES[:1], ["base"], GREEDY)
    wait_until(lambda: engine._waiting)
    engine.close()
    engine.close()  # a second time does nothing
    waiting.join(SECONDS)
    assert isinstance(waiting.error, RuntimeError)
    with pytest.raises(RuntimeError, match="closed"):
        list(running)
    with pytest.raises(RuntimeError, match="closed"):
        next(engine.stream(LINES[:1], ["base"], GREEDY))
    assert engine.describe().startswith("engine stopped")
