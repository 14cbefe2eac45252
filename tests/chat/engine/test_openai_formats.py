"""Request formats: the prompt as each server takes it, and sampling in each server's fields."""

import json

import pytest

from chat.engine.openai_formats import DIALECTS
from chat.sampling import Sampling
from chat.template import encode_prompt
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
