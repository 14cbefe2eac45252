"""Every form of the decoder, tiny and random, is transformers' and PEFT's in float32; what is none says why."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from chat.engine.decoder import Decoder
from chat.engine.spec import check_adapters, read_spec
from chat.variants import ModelRef, load_variants
from tests.support.models import random_adapter, refs, tiny_model
from tests.support.scenes import NAMES

EMBEDDING, HEAD = {"embed_tokens": [1, 2]}, {"lm_head": [1, 2, 300]}
REPLIES = [[40, 1, 7, 500], [2, 300], [9], [1, 2, 3]]  # trained tokens among them
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0}
FORMS = {
    "llama": ("llama", {}),
    "llama, biases, llama3": ("llama", {"attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3}),
    "llama, tied, dynamic": ("llama", {"tie_word_embeddings": True, "rope_parameters": DYNAMIC}),
    "smollm2": ("llama", {"hidden_size": 72, "num_attention_heads": 9, "num_key_value_heads": 3,
                          "tie_word_embeddings": True, "rope_parameters": {"rope_type": "default",
                                                                           "rope_theta": 100000.0}}),
    "mistral, no window": ("mistral", {"sliding_window": None, "head_dim": 24}),
    "mistral, window": ("mistral", {"sliding_window": 6, "rope_parameters": LINEAR}),
    "qwen2, yarn": ("qwen2", {"rope_parameters": YARN}),
    "qwen2, a window above the first layer": ("qwen2", {"use_sliding_window": True, "sliding_window": 5,
                                                        "max_window_layers": 1}),
    "qwen3": ("qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "qwen3, biases": ("qwen3", {"head_dim": 16, "attention_bias": True}),
    "smollm3": ("smollm3", {"no_rope_layers": [1, 0]}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "tokens"),
    [*((form, EMBEDDING) for form in FORMS), *((form, None) for form in ("llama", "smollm2", "qwen2, yarn")),
     ("llama", EMBEDDING | HEAD), ("qwen2, yarn", EMBEDDING | HEAD), ("llama", HEAD)],
)  # fmt: skip
def test_every_form_is_transformers_s(form, tokens, rows, tmp_path):
    kind, settings = FORMS[form]
    variants = tiny_variants(kind, tmp_path, tokens, **settings)
    decoder = Decoder(variants, "float32")
    assert decoder.body.trained == (tokens or {}).get("embed_tokens", [])
    cache = decoder.cache(len(rows), 64)
    for step in range(5):  # prompts of four variants in one batch, then four steps
        new = [row if step == 0 else [(reply * 4)[step - 1]] for row, reply in zip(rows, REPLIES, strict=True)]
        past_lengths = [0 if step == 0 else len(row) + step - 1 for row in rows]
        logits = decoder(cache, new, past_lengths, NAMES)
        for row, reply, name, found in zip(rows, REPLIES, NAMES, logits, strict=True):
            expected = of_transformers(variants, name, [*row, *(reply * 4)[:step]])
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.5  # of the order of a trained model's, so that the tolerance means something


def tiny_variants(kind, folder, tokens, **settings):
    """A tiny base and two random adapters on it, with trained tokens in the modules that are named."""
    base = tiny_model(kind, folder / "base", **settings)
    adapters = {
        name: random_adapter(base, folder / name, seed, trainable_token_indices=tokens)
        for seed, name in enumerate(("sft", "dpo"))
    }
    return load_variants(ModelRef(base), refs(adapters))


def of_transformers(variants, name, ids):
    """The logits after the last token of one row."""
    with torch.inference_mode():
        return variants.model(input_ids=torch.tensor([ids]), **variants.adapter_names([name])).logits[0, -1]


def test_a_window_as_long_as_the_model_is_none(tmp_path):
    config = {"sliding_window": 512, "max_position_embeddings": 512}
    model = AutoModelForCausalLM.from_pretrained(tiny_model("mistral", tmp_path, **config))
    assert read_spec(model).windows == (None, None)
    model.config.sliding_window = 511
    assert read_spec(model).windows == (511, 511)


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("olmo2", {}, "olmo2 is none of llama, mistral, qwen2, qwen3, smollm3"),
        ("llama", {"hidden_act": "gelu"}, "llama with the activation gelu"),
        ("llama", {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "factor": 2.0,
                                       "original_max_position_embeddings": 256, "short_factor": [1.0] * 8,
                                       "long_factor": [2.0] * 8}}, "llama with longrope rotary embeddings"),
    ],
)  # fmt: skip
def test_another_model_is_said_in_one_line(kind, settings, reason, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_model(kind, tmp_path, **settings))
    with pytest.raises(ValueError, match=reason):
        read_spec(model)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"target_modules": ["q_proj", "lm_head"]}, "an adapter changes base_model.model.lm_head"),
        ({"target_modules": ["q_proj"], "lora_bias": True}, "an adapter is more than plain LoRA at .*q_proj"),
        ({"target_modules": ["k_proj"], "trainable_token_indices": {"q_proj": [1]}}, "changes tokens of .*q_proj"),
    ],
)
def test_another_adapter_is_said_in_one_line(settings, reason, llama):
    model = get_peft_model(llama, LoraConfig(r=2, **settings))
    check_adapters(model)  # PEFT mixes it in a batch
    with pytest.raises(ValueError, match=reason):
        read_spec(model)


@pytest.mark.parametrize(
    ("settings", "reason"), [({"use_dora": True}, "has DoRA"), ({"modules_to_save": ["lm_head"]}, "modules_to_save")]
)
def test_an_adapter_that_cannot_be_mixed_is_refused(settings, reason, llama):
    model = get_peft_model(llama, LoraConfig(r=2, target_modules=["q_proj"], **settings))
    with pytest.raises(ValueError, match=f"the adapter default has {reason}|{reason}"):
        check_adapters(model)


@pytest.fixture
def llama(tmp_path):
    return AutoModelForCausalLM.from_pretrained(tiny_model("llama", tmp_path))
