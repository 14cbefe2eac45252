"""A base is checked before anything is trained: each thing that is missing is one line with its cure."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import GPT2Config, GPTNeoXConfig, PhiConfig, T5Config

from hub.errors import UserError
from tests.support.chat_formats import own_tokenizer
from tests.support.models import starter_tokenizer, tiny_model, without_chat_tokens
from training.base.check import check_base
from training.finetune.sft import train_sft
from training.recipe import load


def recipe(*overrides):
    return load("training/recipes/starter.yaml", ["hub.namespace=me", *overrides])


def folder_of(config, folder, tokenizer=None):
    config.save_pretrained(folder)
    (tokenizer or starter_tokenizer()).save_pretrained(folder)
    return str(folder)


def test_a_base_as_it_should_be(tiny_base, capsys):
    check_base(str(tiny_base), None, recipe())
    assert "untied" not in capsys.readouterr().out


def test_an_untied_head_is_said(tmp_path, capsys):
    check_base(tiny_model("llama", tmp_path), None, recipe())
    assert "untied head: the ChatML tokens are trained in embed_tokens and in lm_head" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "overrides", "says"),
    [
        (T5Config(num_layers=1), (), "is a t5, which is no causal language model"),
        (GPT2Config(n_layer=1, n_positions=256, vocab_size=8192), (), "reads 256 tokens, and sft.max_length is 512"),
        (
            GPT2Config(n_layer=1, n_positions=512, vocab_size=8192), ("dpo.max_length=513",),
            "reads 512 tokens, and dpo.max_length is 513; set it to 512",
        ),
        (PhiConfig(num_hidden_layers=1, vocab_size=8192), (), r"head of .* has a bias.*train_chat_tokens=false"),
        (GPT2Config(n_layer=1, vocab_size=2), (), r"has the token .* as \d+, and its model 2 rows of embeddings"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_one_line(tmp_path, config, overrides, says):
    with pytest.raises(UserError, match=says) as caught:
        check_base(folder_of(config, tmp_path), None, recipe(*overrides))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "config", [GPTNeoXConfig(num_hidden_layers=1, vocab_size=8192), GPT2Config(n_layer=1, vocab_size=8192)]
)
def test_embeddings_may_have_any_name(config, tmp_path):
    check_base(folder_of(config, tmp_path), None, recipe())
    check_base(str(tmp_path), None, recipe("model.lora.train_chat_tokens=false"))


def test_a_format_of_its_own_has_trained_tokens(tmp_path, starter):
    tokenizer = own_tokenizer(starter, "llama 3")
    folder = folder_of(GPT2Config(n_layer=1, vocab_size=len(tokenizer)), tmp_path, tokenizer)
    with pytest.raises(UserError, match="own chat format"):
        check_base(folder, None, recipe())


@pytest.mark.parametrize("rows", [8192, 8193, 8200], ids=["none to spare", "one", "enough"])
def test_neither_template_nor_chat_tokens(tmp_path, rows, capsys):
    folder = without_chat_tokens(folder_of(GPT2Config(n_layer=1, vocab_size=rows), tmp_path))
    check_base(folder, None, recipe())
    assert "has no <|im_start|> and <|im_end|>: added, and trained" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"their rows must be trained; set model\.lora\.train_chat_tokens=true"):
        check_base(folder, None, recipe("model.lora.train_chat_tokens=false"))


def test_a_config_that_transformers_does_not_know(tmp_path):
    folder = folder_of(GPT2Config(n_layer=1), tmp_path)
    Path(folder, "config.json").write_text('{"model_type": "newest"}')
    with pytest.raises(UserError, match="cannot be read by transformers"):
        check_base(folder, None, recipe())


def test_training_begins_with_the_check(tmp_path):
    from hub.lineage import Input

    folder = folder_of(GPT2Config(n_layer=1, n_positions=64, vocab_size=8192), tmp_path)
    base = replace(Input("b", "model", "a" * 40, "a" * 40), repo=folder)
    with pytest.raises(UserError, match="reads 64 tokens"):
        train_sft(recipe(), base, base, tmp_path / "work")
