"""The plan at start: sizes by hand, activations against what torch really keeps, and a refusal that names the cure."""

import math
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, GPT2Config, Qwen2Config, Qwen2ForCausalLM

from hub.errors import UserError
from training.finetune import memory_plan, run_plan
from training.recipe_schema import Lora, Model

QWEN_3B = memory_plan.Shape(layers=36, hidden=2048, intermediate=11008, kv=256, vocab=151936, tied=True)


def arguments(**changes):
    settings = {"optim": "paged_adamw_8bit", "gradient_checkpointing": True, "max_steps": -1, "num_train_epochs": 2}
    settings |= {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "bf16": True}
    return SimpleNamespace(**(settings | changes))


def test_sizes_are_those_of_the_model(tiny_base):
    config = AutoConfig.from_pretrained(tiny_base)
    shape = memory_plan.Shape.of(config)
    model = Qwen2ForCausalLM(config)
    linear = sum(
        module.weight.numel() for module in model.model.layers.modules() if isinstance(module, torch.nn.Linear)
    )
    assert shape.linear == linear
    assert shape.embedding == model.get_input_embeddings().weight.numel()
    plain = GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=99)
    assert memory_plan.Shape.of(plain) == memory_plan.Shape(2, 32, 128, 32, 99, tied=True)
    assert round(QWEN_3B.linear / 1e9, 2) == 2.77  # Qwen 2.5's report: 2.77 billion without embeddings


def test_lora_weights_are_those_of_peft(tiny_base):
    from peft import LoraConfig, get_peft_model

    config = AutoConfig.from_pretrained(tiny_base)
    model = get_peft_model(Qwen2ForCausalLM(config), LoraConfig(r=4, target_modules="all-linear"))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert memory_plan.Shape.of(config).lora(4) == trained


@pytest.mark.parametrize("act", [2, 4])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_within_a_quarter_of_what_torch_keeps(dropout, act):
    """Counted by saved_tensors_hooks, every storage once, weights left out: the slope over one more layer."""
    from peft import LoraConfig, get_peft_model

    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 2}
    kept = []
    for layers in (1, 2):
        config = Qwen2Config(num_hidden_layers=layers, vocab_size=99, tie_word_embeddings=True, **sizes)
        model = Qwen2ForCausalLM(config).to(torch.bfloat16 if act == 2 else torch.float32)
        lora = LoraConfig(r=4, target_modules="all-linear", lora_dropout=dropout)
        model = get_peft_model(model, lora, autocast_adapter_dtype=False).train()
        weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        storages = {}

        def keep(tensor, storages=storages, weights=weights):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                storages[storage.data_ptr()] = (storage.nbytes(), tensor)
            return tensor

        model.enable_input_require_grads()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.base_model.model.model(torch.arange(64)[None] % 99, use_cache=False)
        kept.append(sum(size for size, _ in storages.values()))
    shape = memory_plan.Shape.of(config)
    assert (kept[1] - kept[0]) / 64 == pytest.approx(memory_plan.layer_bytes(shape, dropout > 0, act), rel=0.25)


def test_memory_adds_up_and_shrinks_as_it_should():
    model = Model(four_bit=True, lora=Lora())
    need = memory_plan.memory(QWEN_3B, model, arguments(), 512)
    assert need["base"] == pytest.approx(2.77e9 * 0.516 + 151936 * 2048 * 2, rel=0.01)
    assert sum(need.values()) < 5e9  # the aim at 512 packed tokens
    more = memory_plan.memory(QWEN_3B, model, arguments(gradient_checkpointing=False), 512)
    assert more["activations"] > 10 * need["activations"]
    wide = memory_plan.memory(QWEN_3B, Model(four_bit=False), arguments(bf16=False), 512)["base"]
    assert wide > 6 * need["base"]
    assert memory_plan.memory(QWEN_3B, Model(four_bit=False), arguments(), 512)["base"] == wide / 2


def test_steps_and_operations():
    assert run_plan.steps_of(33, arguments()) == 10  # 17 batches, 5 steps, 2 epochs
    assert run_plan.steps_of(33, arguments(), processes=2) == 6
    assert run_plan.steps_of(33, arguments(max_steps=7)) == 7
    assert memory_plan.flops_per_token(QWEN_3B, True) == 1.5 * memory_plan.flops_per_token(QWEN_3B, False)
    assert math.isclose(memory_plan.flops_per_token(QWEN_3B, False), 4 * (QWEN_3B.linear + QWEN_3B.embedding))


def test_a_plan_that_cannot_fit_is_refused_with_what_to_change():
    model = Model(four_bit=False, memory_gb=8)
    with pytest.raises(UserError) as caught:
        run_plan.plan_run(QWEN_3B, model, arguments(), rows=100, tokens=50_000, largest_batch=1024)
    said = str(caught.value)
    assert "model.four_bit=true" in said
    assert "per_device_train_batch_size" in said
    assert "activation_checkpointing" not in said  # it is on already
    assert "\n" not in said


def test_a_plan_tells_its_numbers():
    model = Model(four_bit=True, memory_gb=8)
    numbers = run_plan.plan_run(QWEN_3B, model, arguments(), rows=100, tokens=50_000, largest_batch=1024)
    assert numbers["rows per step"] == "8 (4,000 tokens)"
    assert numbers["steps"] == "26"
    assert numbers["attention"] in ("sdpa", "flash_attention_2")
    assert " of 8.0 GB" in numbers["memory"]
    assert "measured now" in numbers["time"]


def test_a_plan_for_one_device_tells_of_more_and_a_sharded_one_counts_its_share(monkeypatch):
    model = Model(four_bit=True, memory_gb=8)

    def plan():
        return run_plan.plan_run(QWEN_3B, model, arguments(), rows=100, tokens=50_000, largest_batch=1024)

    alone = plan()
    assert "GB each, " in alone["on 8 such devices"]
    assert "GB sharded, " in alone["on 64 such devices"]
    monkeypatch.setenv("WORLD_SIZE", "8")
    whole = plan()
    assert "on 8 such devices" not in whole
    assert whole["memory"].split(" of ")[0] == alone["memory"].split(" of ")[0]
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert plan()["memory"].split(" of ")[0] == "about " + alone["on 8 such devices"].split(", ")[1].removesuffix(
        " GB sharded"
    )
