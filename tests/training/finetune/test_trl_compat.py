"""Each workaround against its fault: a test that fails here says that upstream has mended it, and it can go."""

import math

import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer import utils

from chat.template import SYSTEM_PROMPT, configure_tokenizer
from training.data.encode import encode
from training.data.packing import examples
from training.finetune import trl_compat
from training.finetune.loading import loading, lora_config
from training.finetune.preference_pairs import render_preference
from training.recipe_schema import Lora, Model

TALK = [("Where were you?", "At the pier."), ("Who sent you?", "Nobody. I came by myself."), ("Sit down.", "No.")] * 2


@pytest.fixture(scope="module")
def tokenizer(starter):
    from transformers import AutoTokenizer

    return configure_tokenizer(AutoTokenizer.from_pretrained(starter))


@pytest.fixture(autouse=True)
def as_trl_has_it(monkeypatch):
    """TRL's own `_use_triton`, whatever an earlier test has set, as a CPU without Triton answers it."""
    monkeypatch.setattr(utils, "_use_triton", lambda device: False)


def adapter(tiny_base, tokenizer, train_chat_tokens=True, four_bit=False):
    """A LoRA model as PEFT gives it, without any workaround; the adapter is not zero."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_base, **loading(Model(four_bit=four_bit)))
    lora = Lora(r=4, alpha=8, train_chat_tokens=train_chat_tokens)
    model = get_peft_model(base, lora_config(base, tokenizer, lora, task_type="CAUSAL_LM"))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def arguments(kind, folder, **changes):
    settings = {"report_to": "none", "use_cpu": True, "logging_steps": 1, "bf16": False, "save_strategy": "no"}
    settings |= {"per_device_train_batch_size": 2, "max_steps": 1, "max_length": 256, "activation_checkpointing": False}
    return kind(output_dir=str(folder), **(settings | changes))


def rows():
    def messages(text, reply):
        system = {"role": "system", "content": SYSTEM_PROMPT}
        return {
            "prompt": [system, {"role": "user", "content": text}],
            "completion": [{"role": "assistant", "content": reply}],
        }

    return pa.Table.from_pylist([messages(*pair) for pair in TALK])


def sft_trainer(model, tokenizer, folder, **changes):
    ready = {"completion_only_loss": True, "dataset_kwargs": {"skip_prepare_dataset": True}, "packing": True}
    settings = arguments(SFTConfig, folder, **ready, **changes)
    dataset = examples(encode(tokenizer, rows(), 256), settings)
    return SFTTrainer(model=model, args=settings, train_dataset=dataset, processing_class=tokenizer)


def test_peft_still_wraps_tied_embeddings_without_the_bias_that_trl_asks_for(tiny_base, tokenizer, tmp_path):
    trainer = sft_trainer(adapter(tiny_base, tokenizer), tokenizer, tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    with pytest.raises(AttributeError, match="bias"):
        trainer.compute_loss(trainer.model, dict(batch))
    trl_compat.with_bias(trainer.model)
    assert math.isfinite(trainer.compute_loss(trainer.model, dict(batch)).item())


def test_trl_still_scores_prompts_where_there_is_no_triton(tiny_base, tokenizer, tmp_path, monkeypatch):
    trainer = sft_trainer(trl_compat.with_bias(adapter(tiny_base, tokenizer)), tokenizer, tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    scored, head = [], utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden, *rest):
            scored.append(len(hidden))
            return head.apply(hidden, *rest)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counting)
    trainer.model.eval()  # no dropout: both losses are of the same scores
    with torch.no_grad():
        before = trainer.compute_loss(trainer.model, dict(batch))
        trl_compat.score_replies_alone()
        after = trainer.compute_loss(trainer.model, dict(batch))
    replies = int((batch["labels"][:, 1:] != -100).sum())
    assert scored[0] > 2 * replies
    assert scored[1] == replies
    assert after.item() == pytest.approx(before.item(), abs=1e-4)


@pytest.mark.parametrize(("train_chat_tokens", "four_bit"), [(True, False), (False, True)])
def test_trl_still_copies_its_reference_badly(tiny_base, tokenizer, tmp_path, train_chat_tokens, four_bit):
    """Trained tokens are left out; of a 4-bit model the trained adapter is rounded after it was copied."""
    model = trl_compat.patch_for_trl(adapter(tiny_base, tokenizer, train_chat_tokens, four_bit))
    worse = [{"role": "assistant", "content": "Hm."}]
    pairs = [
        render_preference(tokenizer, {**row, "chosen": row["completion"], "rejected": worse})
        for row in rows().to_pylist()
    ]
    DPOTrainer(
        model=model,
        args=arguments(DPOConfig, tmp_path),
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
    )

    def unlike():
        found = dict(model.named_parameters())
        names = {name: f"{name}.".replace(".default.", ".ref.").removesuffix(".") for name in found}
        return [a for a, b in names.items() if a != b and b in found and not torch.equal(found[a], found[b])]

    def trained() -> list[str]:
        return [name for name, parameter in model.named_parameters() if ".ref" in name and parameter.requires_grad]

    assert unlike()
    trl_compat.complete_reference(model)
    assert not unlike()
    assert not trained()


def test_transformers_still_takes_the_packed_length_for_neftune(tiny_base, tokenizer, tmp_path):
    encoded = encode(tokenizer, rows(), 256)
    mean, alpha, width = encoded.tokens / len(encoded.table), 5.0, 64
    model = trl_compat.with_bias(adapter(tiny_base, tokenizer))
    trainer = sft_trainer(model, tokenizer, tmp_path, neftune_noise_alpha=alpha)
    noise = []

    def listen(module, inputs, output):
        if module.training:
            noise.append((output - module.forward(*inputs)).std().item())

    from transformers import TrainerCallback

    class Listen(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            model.get_input_embeddings().register_forward_hook(listen)

    trainer.add_callback(Listen())
    trainer.train()
    flattened = len(
        trainer.data_collator([trainer.train_dataset[n] for n in range(min(2, len(trainer.train_dataset)))])[
            "input_ids"
        ][0]
    )
    unpacked = alpha / math.sqrt(mean * width) / math.sqrt(3)
    assert noise[0] == pytest.approx(unpacked / trl_compat.packed_noise(flattened, mean), rel=0.1)
    assert noise[0] < 0.8 * unpacked


def test_bitsandbytes_still_repacks_weights_in_evaluation(tiny_base, tokenizer):
    from bitsandbytes.functional import has_avx512bf16
    from bitsandbytes.nn import Linear4bit

    def layers(model):
        return [module for module in model.modules() if isinstance(module, Linear4bit)]

    kept = adapter(tiny_base, tokenizer, four_bit=True)
    assert all(hasattr(layer, "support_avx512bf16_for_cpu") for layer in layers(kept))
    trl_compat.keep_cpu_layout(kept)
    assert layers(kept)
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers(kept))
    if not has_avx512bf16():
        pytest.skip("no AVX512-BF16 on this CPU: the repacking itself cannot be shown here")
    repacked = adapter(tiny_base, tokenizer, four_bit=True)
    for model, changes in ((kept, False), (repacked, True)):
        before = [layer.weight.data.clone() for layer in layers(model)]
        with torch.no_grad():
            model.eval()(torch.tensor([[1, 2, 3]]))
        same = all(torch.equal(old, layer.weight.data) for old, layer in zip(before, layers(model), strict=True))
        assert same is not changes
