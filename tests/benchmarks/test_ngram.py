"""The Kneser-Ney peer against its formula, written out plainly with dictionaries."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.ngram import FALLBACK, KneserNey, discounts_of

VOCABULARY = 7


def sequences(count, seed, kinds=VOCABULARY - 1):
    """Random sequences with habits, between boundaries 0; tokens from `kinds` up stay unseen."""
    chance = random.Random(seed)
    for _ in range(count):
        inner = [chance.randrange(1, kinds)]
        for _ in range(chance.randrange(9)):
            inner.append(chance.choice([inner[-1], (inner[-1] % (kinds - 1)) + 1, chance.randrange(1, kinds)]))
        yield [0, *inner, 0]


def by_the_formula(train, order):
    """p(token | history) by recursion over counts in dictionaries."""
    occurrences = Counter(
        tuple(row[i - n + 1 : i + 1])
        for row in train
        for n in range(1, order + 1)
        for i in range(max(n - 1, 1), len(row))
    )
    before = defaultdict(set)
    for row in train:
        for n in range(1, order):
            for i in range(n, len(row)):
                before[tuple(row[i - n + 1 : i + 1])].add(row[i - n])
    counts = {gram: len(before[gram]) if gram in before and len(gram) < order else c for gram, c in occurrences.items()}
    discounts = {
        n: discounts_of(np.array([c for gram, c in counts.items() if len(gram) == n])) for n in range(1, order + 1)
    }

    def p(token, history):
        lower = p(token, history[1:]) if history else 1 / VOCABULARY
        after = {gram[-1]: c for gram, c in counts.items() if gram[:-1] == history}
        if not after:
            return lower
        d = discounts[len(history) + 1]
        c = after.get(token, 0)
        kept_back = sum(d[min(count, 3)] for count in after.values())
        return (c - d[min(c, 3)] + kept_back * lower) / sum(after.values())

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_it_is_the_formula(order):
    train, test = list(sequences(40, seed=1)), list(sequences(8, seed=2, kinds=VOCABULARY))
    p = by_the_formula(train, order)
    expected = [math.log(p(row[i], tuple(row[max(0, i - order + 1) : i]))) for row in test for i in range(1, len(row))]
    assert KneserNey(train, VOCABULARY, order).log_probs(test) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("history", [[0], [0, 1], [0, 3, 3, 3, 3, 3], [0, 6], [0, 1, 2, 6, 1], [0, 5, 1, 2, 3, 4]])
def test_probabilities_sum_to_one(history):
    model = KneserNey(list(sequences(60, seed=3)), VOCABULARY)
    p = [math.exp(model.log_probs([[*history, token]])[-1]) for token in range(VOCABULARY)]
    assert sum(p) == pytest.approx(1, abs=1e-12)
    assert min(p) > 0


def test_a_habit_is_learnt():
    model = KneserNey([[0, 1, 2, 3, 0]] * 20 + [[0, 3, 3, 0]], 5)
    assert np.exp(model.log_probs([[0, 1, 2, 3, 0]])).min() > 0.8
    assert np.exp(model.log_probs([[0, 4, 0]]))[0] < 0.05


def test_discounts_by_hand():
    counts = np.array([1] * 6 + [2] * 3 + [3] * 2 + [4] * 1 + [9])
    # y = 6 / (6 + 2 * 3) = 1/2; 1 - 2y * 3/6, 2 - 3y * 2/3, 3 - 4y * 1/2
    assert discounts_of(counts) == pytest.approx([0, 0.5, 1.0, 2.0])
    assert discounts_of(np.array([1, 1, 2])) is FALLBACK


def test_both_models_predict_the_same_tokens(starter):
    """A conversation of several training rows, and a short one: as many tokens for the peer as for the starter."""
    from transformers import PreTrainedTokenizerFast

    from training.base.pretrain_data import token_rows

    tokenizer = PreTrainedTokenizerFast.from_pretrained(starter)
    texts = ["Where were you?\nAt the pier.", "Again and again and again.\n" * 200]
    sequences = [[0, *ids, 0] for ids in tokenizer(texts)["input_ids"]]
    predicted = [token for row in token_rows(tokenizer, texts) for token in row[1:]]
    assert predicted == [token for sequence in sequences for token in sequence[1:]]
    assert len(KneserNey(sequences, len(tokenizer)).log_probs(sequences)) == len(predicted)
