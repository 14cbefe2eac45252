"""Drawing: transformers' own distribution, by each row's settings."""

from collections import Counter
from random import Random

import pytest
import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from chat.engine.sampler import sample_next_tokens, top_k
from chat.sampling import Sampling


def of_transformers(logits: torch.Tensor, how: Sampling) -> torch.Tensor:
    """The probabilities that `generate` draws from."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(float(how.temperature))])
    if how.top_k:
        warpers.append(TopKLogitsWarper(how.top_k))
    warpers.append(TopPLogitsWarper(how.top_p))
    return warpers(None, logits[None])[0].softmax(-1)


class Fixed:
    """A chance that is not one."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


SETTINGS = [
    Sampling(),
    Sampling(temperature=2, top_k=0, top_p=1),
    Sampling(temperature=0.3, top_k=5, top_p=0.5),
    Sampling(top_k=1),
    Sampling(top_k=0, top_p=0.7),
    Sampling(top_k=1000, top_p=0.01),
]


@pytest.mark.parametrize("how", SETTINGS)
@pytest.mark.parametrize("width", [50, 1024])
def test_the_distribution_is_that_of_transformers(width, how):
    torch.manual_seed(1)
    logits, draws = 3 * torch.randn(1, width), 1_000
    chances = [Fixed((number + 0.5) / draws) for number in range(draws)]
    count = Counter(sample_next_tokens(logits.repeat(draws, 1), [how] * draws, chances))
    expected = of_transformers(logits[0], how)
    assert all(expected[token] > 0 for token in count)
    found = torch.tensor([count[token] / draws for token in range(width)])
    assert (found - expected).abs().max() < 2 / draws


def test_rows_keep_their_own_settings_and_chance():
    logits = torch.randn(1, 8192).repeat(4, 1)
    greedy, wild = Sampling(temperature=0), Sampling(temperature=5, top_k=0, top_p=1)
    tokens = sample_next_tokens(logits, [greedy, wild, wild, greedy], [Random(1), Random(2), Random(3), Random(4)])
    best = int(logits[0].argmax())
    assert tokens[0] == tokens[3] == best
    assert tokens[1:3] == [sample_next_tokens(logits[:1], [wild], [Random(seed)])[0] for seed in (2, 3)]
    assert tokens[1] != tokens[2]


@pytest.mark.parametrize("count", [1, 2, 25, 64])
@pytest.mark.parametrize("width", [8192, 151_936, 130])
def test_the_largest_are_found(width, count):
    logits = torch.randn(3, width)
    logits[1, 128:160] += 10  # all in one block
    values, tokens = top_k(logits, count)
    expected = logits.topk(count)
    assert torch.equal(values, expected.values)
    assert torch.equal(tokens, expected.indices)
