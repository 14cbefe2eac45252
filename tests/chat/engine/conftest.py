"""A decoder in float32, and prompts for it."""

import pytest

from chat.engine.decoder import Decoder
from chat.template import encode_prompt
from tests.support.scenes import PROMPTS


@pytest.fixture(scope="session")
def decoder(variants):
    return Decoder(variants, "float32")


@pytest.fixture(scope="session")
def rows(tokenizer):
    return [encode_prompt(tokenizer, prompt) for prompt in PROMPTS]
