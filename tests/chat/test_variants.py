"""Loading: one base, adapters with trained tokens, four bits, and what the lineage says."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList

from chat import variants as chat_variants
from chat.adapter_check import AdapterError
from chat.generate import generate, sample
from chat.sampling import Sampling
from chat.variants import ModelRef
from tests.support.models import refs
from tests.support.scenes import hooks, user_prompts

GREEDY = Sampling(temperature=0, max_new_tokens=8)


def test_one_base_and_two_adapters(variants):
    assert variants.names == ("base", "sft", "dpo")
    assert variants.context_turns == 1
    assert not variants.model.training
    assert sum(parameter.numel() for parameter in variants.model.parameters()) < 17e6  # one base, not three
    assert {parameter.dtype for parameter in variants.model.parameters()} == {torch.float32}
    assert variants.adapter_names(["base", "dpo"]) == {"adapter_names": ["__base__", "dpo"]}
    with pytest.raises(ValueError, match="no variant called rlhf; there are base, sft, dpo"):
        variants.adapter_names(["base", "rlhf"])


def test_the_base_alone_is_a_plain_model(starter):
    variants = chat_variants.load_variants(ModelRef(str(starter)))
    assert type(variants.model).__name__ == "Qwen2ForCausalLM"
    assert generate(variants, user_prompts("Hi."), ["base"], GREEDY)[0].tokens >= 1


def test_bfloat16_adapters_stay_bfloat16(starter, adapters):
    variants = chat_variants.load_variants(ModelRef(str(starter)), refs(adapters), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in variants.model.parameters()} == {torch.bfloat16}
    assert len(generate(variants, user_prompts("Hi.") * 3, list(variants.names), GREEDY)) == 3


def test_four_bits(starter, adapters):
    variants = chat_variants.load_variants(ModelRef(str(starter)), refs(adapters), four_bit=True)
    layer = variants.model.get_base_model().model.layers[0].mlp.up_proj.base_layer
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_type == "nf4"
    assert len(generate(variants, user_prompts("Hi.") * 3, list(variants.names), GREEDY)) == 3


def test_context_turns_come_from_the_lineage(starter, adapters, tmp_path):
    folders = {name: str(tmp_path / name) for name in adapters}
    for name, folder in folders.items():
        shutil.copytree(adapters[name], folder)
    (tmp_path / "sft" / "lineage.json").write_text(json.dumps({"facts": {"context_turns": 3}}))
    (tmp_path / "dpo" / "lineage.json").write_text(json.dumps({"facts": {"context_turns": 2}}))
    assert (
        chat_variants.load_variants(ModelRef(str(starter)), refs(folders)).context_turns == 2
    )  # what all of them can read
    (tmp_path / "dpo" / "lineage.json").write_text(json.dumps({"stage": "dpo"}))
    assert chat_variants.load_variants(ModelRef(str(starter)), refs(folders)).context_turns == 1


def test_the_base_s_own_generation_config_is_not_our_sampling(starter, variants, tmp_path):
    for file in starter.iterdir():
        if file.name != "generation_config.json":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").write_text(json.dumps({"repetition_penalty": 9.0, "min_new_tokens": 7}))
    penalised = chat_variants.load_variants(ModelRef(str(tmp_path)))
    prompts = user_prompts("No. No. No. No.", "Where were you?")
    expected = generate(variants, prompts, ["base"] * 2, GREEDY)
    assert generate(penalised, prompts, ["base"] * 2, GREEDY) == expected


def test_adapters_that_cannot_be_mixed_are_refused(starter, adapters, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(starter)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path)
    for trained, plain in (("sft", "dpo"), ("dpo", "sft")):
        places = {trained: "embed_tokens", plain: "no place"}
        said = f"sft has trained tokens in {places['sft']} and dpo has trained tokens in {places['dpo']}: PEFT cannot"
        with pytest.raises(ValueError, match=said):
            chat_variants.load_variants(ModelRef(str(starter)), refs(adapters | {plain: str(tmp_path)}))


class Failing(StoppingCriteria):
    def __call__(self, input_ids, scores, **kwargs):
        raise MemoryError("out of memory")


def test_a_failed_batch_leaves_nothing_behind(variants):
    prompts = user_prompts("Where were you?", "No.", "Get out.")
    expected = generate(variants, prompts, list(variants.names), GREEDY)
    with pytest.raises(MemoryError):
        sample(variants, [[1, 5]], ["sft"], GREEDY, 0, stopping_criteria=StoppingCriteriaList([Failing()]))
    assert hooks(variants) == 0
    assert generate(variants, prompts, list(variants.names), GREEDY) == expected


def test_matmul_precision_is_the_environments(monkeypatch):
    was = torch.get_float32_matmul_precision()
    try:
        monkeypatch.setenv("REPARTEE_MATMUL", "medium")
        chat_variants.set_matmul_precision()
        assert torch.get_float32_matmul_precision() == "medium"
        monkeypatch.setenv("REPARTEE_MATMUL", "low")
        with pytest.raises(AdapterError, match="highest, high or medium"):
            chat_variants.set_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(was)
