"""Continuous batching: rows are admitted and evicted between steps, and no row touches another."""

from random import Random

from chat.engine.continuous_batch import ContinuousBatch, Sequence
from chat.sampling import Sampling
from tests.support.scenes import NAMES, of_peft


def test_rows_join_and_leave_a_running_batch(decoder, alone, rows):
    """Greedy replies are PEFT's, whoever came and went meanwhile."""

    def row(place, length):
        return Sequence(rows[place], NAMES[place], Sampling(temperature=0, max_new_tokens=length), Random(0))

    def step(batch, count):
        for _ in range(count):
            batch.step()

    batch, (a, b, c, d) = (
        ContinuousBatch(decoder, set()),
        [row(place, length) for place, length in enumerate((6, 60, 12, 9))],
    )
    batch.admit([a, b])
    step(batch, 3)
    batch.admit([c])
    step(batch, 3)
    batch.evict([a])  # c takes its slot
    batch.admit([d])
    step(batch, 9)
    batch.evict([d, c])
    step(batch, 45)  # past the end of the cache's first room
    for one in (a, b, c, d):
        ids = list(one.prompt)
        for token in one.reply[:12]:
            assert token == int(of_peft(alone[one.variant], ids)[-1].argmax())
            ids.append(token)
    assert (len(a.reply), len(b.reply)) == (6, 60)
    batch.evict([b])
    assert batch._cache is None  # nobody is there, and nothing is kept
