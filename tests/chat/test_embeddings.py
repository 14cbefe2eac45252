"""Rows of tokens: where they stand in a model, and room for those that a base has never seen."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from chat.embeddings import make_room, row_modules
from chat.template import configure_tokenizer
from tests.support.chat_formats import own_tokenizer
from tests.support.models import tiny_model, without_chat_tokens


@pytest.mark.parametrize(
    ("kind", "tied", "names"),
    [
        ("llama", False, ("embed_tokens", "lm_head")),
        ("llama", True, ("embed_tokens",)),
        ("gpt_neox", False, ("embed_in", "lm_head")),
        ("gpt2", True, ("wte",)),
        ("bloom", True, ("word_embeddings",)),
    ],
)
def test_where_a_token_has_its_rows(kind, tied, names):
    config = AutoConfig.for_model(kind, num_hidden_layers=1, tie_word_embeddings=tied)
    with torch.device("meta"):
        assert row_modules(AutoModelForCausalLM.from_config(config)) == names


def test_a_scorer_has_no_head(tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model("llama", tmp_path), num_labels=1)
    assert row_modules(model) == ("embed_tokens",)
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(without_chat_tokens(tmp_path)))
    make_room(model, tokenizer)
    assert model.get_input_embeddings().num_embeddings == 8194


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_are_the_mean_of_the_others(tmp_path, tied):
    folder = tiny_model("llama", tmp_path, tie_word_embeddings=tied)
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(without_chat_tokens(folder)))
    model = AutoModelForCausalLM.from_pretrained(folder)
    layers = model.get_input_embeddings(), model.get_output_embeddings()
    before = [layer.weight.detach().clone() for layer in layers]
    make_room(model, tokenizer)
    layers = model.get_input_embeddings(), model.get_output_embeddings()
    for layer, weight in zip(layers, before, strict=True):
        assert layer.weight.shape == (8194, 64)
        assert torch.equal(layer.weight[:8192], weight)
        torch.testing.assert_close(layer.weight[8192:], weight.mean(0).expand(2, -1))
    assert (layers[0].weight is layers[1].weight) == tied
    make_room(model, tokenizer)
    assert model.config.vocab_size == 8194, "again, it changes nothing"


def test_rows_to_spare_and_a_format_of_its_own_are_left(tmp_path, starter):
    spare = AutoModelForCausalLM.from_pretrained(tiny_model("llama", tmp_path, vocab_size=8200))
    make_room(spare, configure_tokenizer(AutoTokenizer.from_pretrained(without_chat_tokens(tmp_path))))
    assert spare.get_input_embeddings().num_embeddings == 8200
    make_room(spare, own_tokenizer(starter, "llama 3"))
    assert spare.get_input_embeddings().num_embeddings == 8200
