"""GGUF files of every architecture, read back by transformers, which undoes llama.cpp's order of queries and keys."""

import numpy
import pytest
import torch

from hub.errors import UserError
from hub.gguf.export import rows_of_tokens
from hub.gguf.writer import frequency_factors, lora_scales, write_adapter, write_model
from tests.support.models import random_adapter, starter_tokenizer, tiny_model

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
KINDS = {
    "llama": ("llama", {"tie_word_embeddings": True}),
    "smollm2": ("llama", {"hidden_size": 72, "num_attention_heads": 9, "num_key_value_heads": 3,
                          "tie_word_embeddings": True,
                          "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}}),
    "mistral": ("mistral", {"head_dim": 24, "sliding_window": None}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 128}),  # transformers' reader takes it for Qwen 3's
}  # fmt: skip
IDS = torch.tensor([[5, 6, 700, 8, 9, 1000, 11]])


def load(kind, folder, **settings):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model(kind, folder, **settings))


def read_back(path):
    from transformers import AutoModelForCausalLM, GgufConfig

    config = GgufConfig(dequantize=True)
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, quantization_config=config
    )


def fields(path):
    from gguf import GGUFReader

    return {name: field.contents() for name, field in GGUFReader(path).fields.items() if "tokenizer" not in name}


def tensors(path):
    from gguf import GGUFReader

    return {tensor.name: numpy.array(tensor.data) for tensor in GGUFReader(path).tensors}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_is_the_model(kind, tmp_path):
    name, settings = KINDS[kind]
    model = load(name, tmp_path, **settings)
    path = write_model(tmp_path / "model.gguf", model, starter_tokenizer(), "tiny")
    with torch.inference_mode():
        torch.testing.assert_close(read_back(path)(IDS).logits, model(IDS).logits, atol=1e-4, rtol=0)


def test_a_llama_s_metadata(tmp_path):
    model = load("mistral", tmp_path, head_dim=24, sliding_window=100)
    written = fields(write_model(tmp_path / "model.gguf", model, starter_tokenizer(), "somebody's"))
    assert written["general.architecture"] == "llama"
    expected = {
        "vocab_size": 8192, "context_length": 100, "rope.dimension_count": 24, "attention.key_length": 24,
        "attention.value_length": 24, "attention.head_count": 4, "attention.head_count_kv": 2,
    }  # fmt: skip
    assert {name: written[f"llama.{name}"] for name in expected} == expected


def test_rope_of_llama_3_and_linear_rope_are_written(tmp_path):
    model = load("llama", tmp_path, rope_parameters=LLAMA3)
    factors = tensors(write_model(tmp_path / "model.gguf", model, starter_tokenizer(), "a"))["rope_freqs.weight"]
    plain = 10000.0 ** -(numpy.arange(8) / 8)
    assert numpy.allclose(plain / factors, model.model.rotary_emb.inv_freq, rtol=1e-5)
    assert factors[0] == pytest.approx(1)
    assert factors[-1] == pytest.approx(8)
    assert numpy.array_equal(factors, frequency_factors(model.model.rotary_emb, model.config))
    model.config.rope_parameters = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0}
    written = fields(write_model(tmp_path / "model.gguf", model, starter_tokenizer(), "a"))
    assert (written["llama.rope.scaling.type"], written["llama.rope.scaling.factor"]) == ("linear", 3)


SCALED = {
    "rsLoRA": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2, "down_proj": 8}, "alpha_pattern": {"k_proj": 32, "down_proj": 3}},
    "head": {"trainable_token_indices": {"embed_tokens": [1, 2], "lm_head": [1, 2]}},
}
"""Adapters whose scale is not alpha over rank in every module, and one with trained tokens in an untied head."""


@pytest.mark.parametrize(
    ("kind", "lora"), [*((kind, "plain") for kind in KINDS), *(("llama", name) for name in SCALED)]
)
def test_an_adapter_adds_to_the_base_s_tensors_what_peft_merges(kind, lora, tmp_path):
    from peft import PeftModel
    from safetensors.torch import load_file

    name, settings = KINDS[kind]
    model = load(name, tmp_path / "base", **settings)
    folder = random_adapter(tmp_path / "base", tmp_path / "sft", 1, **SCALED.get(lora, {}))
    base = tensors(write_model(tmp_path / "base.gguf", model, starter_tokenizer(), "a", own_head=True))
    config, untrained = model.config, rows_of_tokens(model, [1, 2])
    tuned = PeftModel.from_pretrained(model, folder)
    scales = lora_scales(tuned)
    merged = tuned.merge_and_unload()
    added = {name: rows - untrained[name] for name, rows in rows_of_tokens(merged, [1, 2]).items()}
    path = tmp_path / "lora.gguf"
    file = load_file(f"{folder}/adapter_model.safetensors")
    found = tensors(write_adapter(path, file, 8.0, scales, [1, 2], added, config))
    halved = tensors(write_adapter(tmp_path / "half.gguf", file, 8.0, scales, [1, 2], added, config, "f16"))
    for key, values in found.items():
        assert (halved[key].dtype, values.dtype) == (numpy.float16, numpy.float32)
        assert numpy.allclose(halved[key], values, rtol=2**-11, atol=2**-24)  # half a unit of its ten bits
    assert fields(path)["general.architecture"] == fields(tmp_path / "base.gguf")["general.architecture"]
    expected = tensors(write_model(tmp_path / "merged.gguf", merged, starter_tokenizer(), "a", own_head=True))
    changed = {name.removesuffix(".lora_a") for name in found if name.endswith(".lora_a")}
    assert len(changed) == 2 * 7 + 1 + (config.tie_word_embeddings or lora == "head")
    for name, values in expected.items():
        if name not in changed:
            assert numpy.array_equal(values, base[name])
            continue
        a, b = found[f"{name}.lora_a"], found[f"{name}.lora_b"]
        added = b @ a if name != "token_embd.weight" else a @ b.T  # of the embedding, llama.cpp picks rows of a
        assert numpy.allclose(base[name] + 8.0 / min(a.shape) * added, values, atol=1e-5)
        assert not numpy.allclose(base[name], values, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("gemma3_text", {"head_dim": 16}, "mine is a gemma3_text; GGUF files are written of llama, mistral, qwen2 and"),
        ("smollm3", {}, "mine is a smollm3; GGUF files are written of llama, mistral, qwen2 and qwen3"),
        ("qwen3", {"rope_parameters": LLAMA3}, "mine is a qwen3 with rope of the type llama3, which is not written"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "type dynamic"),
        ("qwen3", {"attention_bias": True}, "mine is a qwen3 with attention biases, which is not written to GGUF"),
        ("llama", {"hidden_act": "gelu"}, "mine is a llama with the activation gelu"),
    ],
)
def test_what_is_not_written_is_said_in_one_line(kind, settings, reason, tmp_path):
    model = load(kind, tmp_path, **settings)
    with pytest.raises(UserError, match=reason):
        write_model(tmp_path / "a.gguf", model, starter_tokenizer(), "mine")


@pytest.mark.parametrize(
    ("lora", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "lora_only"}, "biases"),
        ({"lora_bias": True, "target_modules": ["q_proj"]}, "biases"),
        ({"modules_to_save": ["lm_head"], "target_modules": ["q_proj"]}, r"whole modules \(modules_to_save\)"),
    ],
)
def test_an_adapter_that_gguf_cannot_hold_is_said_in_one_line(lora, reason, tmp_path):
    from peft import PeftModel

    model = load("llama", tmp_path / "base")
    folder = random_adapter(tmp_path / "base", tmp_path / "sft", 1, tokens=False, **lora)
    with pytest.raises(UserError, match=f"the adapter has {reason}, which GGUF's adapters cannot hold"):
        lora_scales(PeftModel.from_pretrained(model, folder))


def test_a_lora_of_the_embedding_and_another_kind_of_adapter_are_said_in_one_line(tmp_path):
    from peft import IA3Config, get_peft_model

    model = load("llama", tmp_path / "base")
    name = "base_model.model.model.embed_tokens.lora_embedding_A"
    with pytest.raises(UserError, match=r"the adapter has .*lora_embedding_A, which GGUF's adapters cannot hold"):
        write_adapter(tmp_path / "a.gguf", {name: model.lm_head.weight}, 8.0, {}, [], {}, model.config)
    with pytest.raises(UserError, match="is of the kind IA3"):
        lora_scales(get_peft_model(model, IA3Config(task_type="CAUSAL_LM")))
