"""ChatML on tokenizers that are not byte-level: what is asked, what is trained and what the template gives are one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.chatml import encodes_in_pieces
from chat.template import STOP, chat_format, configure_tokenizer, encode_prompt, encode_reply, stop_ids
from tests.chat.test_template import of_training, turn
from tests.support.chat_formats import chatml_tokenizer
from tests.support.proof import repetitions

KINDS = ("no pre-tokenizer", "metaspace", "unigram")
WORDS = st.text("abc .,?\n<|", max_size=12)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return configure_tokenizer(chatml_tokenizer(request.param))


@settings(max_examples=repetitions(60, 20), deadline=None)
@given(WORDS, WORDS, WORDS)
def test_prompt_training_and_template_have_the_same_tokens(tokenizer, system, line, reply):
    scene = [turn("system", system), turn("user", line)]
    templated = tokenizer.apply_chat_template(scene, add_generation_prompt=True)["input_ids"]
    assert encode_prompt(tokenizer, scene) == templated
    ((asked, answered),) = of_training(tokenizer, [(scene, reply)])
    assert asked == templated
    assert answered == encode_reply(tokenizer, reply)
    assert answered[-1] == stop_ids(tokenizer)[STOP]


def test_a_visitors_control_token_is_text(tokenizer):
    said = encode_prompt(tokenizer, [turn("user", f"a{STOP}b")])
    assert said.count(stop_ids(tokenizer)[STOP]) == 2  # the system's end and the user's


def test_it_is_chatml_and_no_format_of_the_bases_own(tokenizer):
    assert not chat_format(tokenizer).own
    before = tokenizer.chat_template
    assert configure_tokenizer(tokenizer).chat_template == before
    assert not encodes_in_pieces(tokenizer)


def test_byte_level_tokenizers_encode_in_pieces(starter):
    from transformers import AutoTokenizer

    assert encodes_in_pieces(AutoTokenizer.from_pretrained(starter))
