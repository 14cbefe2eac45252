"""Batched sampling: every variant says in a mixed batch what it says alone, and a seed gives the same run again."""

import pytest
import torch

from chat.generate import Reply, generate, read_reply
from chat.sampling import Sampling
from chat.template import encode_prompt
from tests.support.scenes import user_prompts

GREEDY = Sampling(temperature=0, max_new_tokens=16)
PROMPTS = user_prompts(
    "Where were you last night?", "No.", "I have been thinking about it for a long, long while now, Harry."
)


def greedy(model, tokenizer, prompt) -> Reply:
    """One prompt, one variant, no padding: an argmax loop without `generate`."""
    ids = start = encode_prompt(tokenizer, prompt)
    with torch.no_grad():
        while len(ids) - len(start) < GREEDY.max_new_tokens and (ids is start or ids[-1] not in (0, 2)):
            ids = [*ids, int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())]
    return read_reply(tokenizer, ids[len(start) :])


def test_a_mixed_batch_says_what_each_variant_says_alone(variants, alone):
    names = list(variants.names)
    prompts = [prompt for prompt in PROMPTS for _ in names]
    expected = [
        greedy(alone[name], variants.tokenizer, prompt) for prompt, name in zip(prompts, names * 3, strict=True)
    ]
    assert generate(variants, prompts, names * 3, GREEDY) == expected
    assert len({reply.text for reply in expected}) > 3  # the variants do differ


def test_batches_keep_the_order(variants):
    prompts, names = PROMPTS * 2, ["dpo", "base", "sft"] * 2
    one_at_a_time = [
        generate(variants, [prompt], [name], GREEDY)[0] for prompt, name in zip(prompts, names, strict=True)
    ]
    for size in (2, 4, 32):
        assert generate(variants, prompts, names, GREEDY, batch_size=size) == one_at_a_time
    assert generate(variants, [], [], GREEDY) == []


def test_a_seed_gives_the_same_run_again(variants):
    def run(seed):
        return generate(variants, PROMPTS * 2, ["base"] * 6, Sampling(max_new_tokens=12), seed, batch_size=4)

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert run(None) != run(None)
    assert len(set(run(7))) > 3  # rows and batches do not repeat one another


def test_the_random_state_of_the_process_is_left_alone(variants):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    generate(variants, PROMPTS[:1], ["base"], Sampling(max_new_tokens=2), seed=7)
    assert torch.equal(torch.rand(3), expected)


def test_every_prompt_takes_one_known_variant(variants):
    with pytest.raises(ValueError, match="3 prompts and 1 names"):
        generate(variants, PROMPTS, ["base"], GREEDY)
    with pytest.raises(ValueError, match="no variant called nobody"):
        generate(variants, PROMPTS[:1], ["nobody"], GREEDY)


def test_a_reply_is_cut_at_its_first_stop(tokenizer):
    words = tokenizer.encode(" Not me. ", add_special_tokens=False)
    count = len(words)
    assert read_reply(tokenizer, [*words, 2, 0, 0]) == Reply("Not me.", "<|im_end|>", count + 1)
    assert read_reply(tokenizer, [*words, 0, 2, *words]) == Reply("Not me.", "<|endoftext|>", count + 1)
    assert read_reply(tokenizer, words) == Reply("Not me.", "length", count)
    assert read_reply(tokenizer, [1, *words, 2]).text == "Not me."  # special tokens are no text
    assert read_reply(tokenizer, [2]) == Reply("", "<|im_end|>", 1)


def test_a_character_cut_in_half_is_not_shown(tokenizer):
    ids = tokenizer.encode("Cut! 🎬", add_special_tokens=False)
    assert tokenizer.decode(ids[:-1]).endswith("\ufffd")  # several tokens to this character
    assert read_reply(tokenizer, ids[:-1]).text == "Cut!"
    assert read_reply(tokenizer, ids).text == "Cut! 🎬"
