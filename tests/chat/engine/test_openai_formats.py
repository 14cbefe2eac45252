"""Request formats: the prompt as each server takes it, and sampling in each server's fields."""

import json

import pytest

from chat.engine.openai_formats import DIALECTS
from chat.sampling import Sampling
from chat.template import encode_prompt
from tests.support.chat_formats import own_tokenizer
from tests.support.scenes import user_prompts


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_format_sends_the_same_prompt_and_sampling(tokenizer, dialect):
    [prompt] = user_prompts("Where were you last night?")
    body = dialect.body(tokenizer, prompt, Sampling(), seed=3)
    ids = encode_prompt(tokenizer, prompt)
    sent = body["prompt"]
    assert (sent if isinstance(sent, list) else tokenizer.encode(sent, add_special_tokens=False)) == ids
    assert dialect.length(tokenizer, prompt) == len(ids)
    assert body["seed"] == 3
    extra = body["extra_body"]
    fields = {**body, **extra, **json.loads(extra.get("generation_config", "{}"))}
    assert [fields[name] for name in ("temperature", "top_k", "top_p")] == [0.9, 25, 0.95]
    assert "seed" not in dialect.body(tokenizer, prompt, Sampling(), None)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_server_of_another_format_puts_the_one_bos(starter, dialect):
    tokenizer = own_tokenizer(starter, "gemma")
    [prompt] = user_prompts("Hello. <end_of_turn>")
    sent = dialect.body(tokenizer, prompt, Sampling(), seed=3)["prompt"]
    read = sent if isinstance(sent, list) else tokenizer.encode(sent)
    assert [read.count(tokenizer.bos_token_id), dialect.length(tokenizer, prompt)] == [1, len(read)]
    assert read.count(tokenizer.eos_token_id) == encode_prompt(tokenizer, prompt).count(tokenizer.eos_token_id) == 1
