"""The peers of benchmarks.train: TRL as a newcomer sets it up, and the stopwatch that both sides carry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from chat.variants import has_bf16

# layers, hidden, intermediate, heads, key-value heads; Qwen2.5 technical report, table 1, and its config.json
QWEN_SHAPES = {
    "0.5B-2layers": (2, 896, 4864, 14, 2),
    "0.5B": (24, 896, 4864, 14, 2),
    "1.5B": (28, 1536, 8960, 12, 2),
    "3B": (36, 2048, 11008, 16, 2),
}
VOCABULARY = 151_936
NEWCOMER_BATCH = 8
STEP_EXAMPLES = 32  # an optimizer step's, of either side
ROW_TOKENS = 512


def random_base(shape: str, scratch: Path) -> Path:
    """A folder with random weights of one of the true shapes; the shape before gives it its place."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    layers, hidden, intermediate, heads, kv = QWEN_SHAPES[shape]
    config = Qwen2Config(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads,
        num_key_value_heads=kv, vocab_size=VOCABULARY, tie_word_embeddings=True, max_position_embeddings=32_768,
        rms_norm_eps=1e-6, rope_parameters={"rope_theta": 1e6, "rope_type": "default"},
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen2ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(scratch / "base")
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the sides are other processes
    return scratch / "base"


def common_arguments(steps: int, scratch: Path, gpu: bool) -> dict[str, Any]:
    """What the sides share, so that the layout of a batch is all that differs, not the examples of a step."""
    return {
        "max_steps": steps, "train_sampling_strategy": "sequential",
        "learning_rate": 1e-3 if not gpu else 2e-4, "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1, "bf16": has_bf16(), "activation_checkpointing": gpu, "max_length": ROW_TOKENS,
        "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True, "seed": 1,
        "use_cpu": not gpu, "report_to": "none",
        "optim": "paged_adamw_8bit" if gpu else "adamw_torch", "output_dir": str(scratch / "run"),
    }  # fmt: skip


def lora_settings(gpu: bool) -> Any:
    """The adapter of every side."""
    from training.recipe_schema import Lora

    return Lora(r=16, alpha=32, dropout=0.05 if gpu else 0.0)


def newcomer_trainer(base: Any, tokenizer: Any, train: Any, steps: int, scratch: Path, gpu: bool) -> Any:
    """SFTTrainer on prompts and completions as text, padded, its head as TRL makes it.

    Given messages, TRL would also train the newline that the template puts behind the last `<|im_end|>`: other tokens.
    """
    from datasets import Dataset
    from peft import get_peft_model
    from trl import SFTConfig, SFTTrainer

    from training.finetune.loading import lora_config
    from training.finetune.trl_compat import with_bias

    texts = [
        {
            "prompt": tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True),
            "completion": row["completion"][0]["content"],
        }
        for row in train.slice(0, STEP_EXAMPLES * steps).to_pylist()
    ]
    settings = common_arguments(steps, scratch, gpu) | {"per_device_train_batch_size": NEWCOMER_BATCH}
    arguments = SFTConfig(**settings, gradient_accumulation_steps=STEP_EXAMPLES // NEWCOMER_BATCH)
    model = with_bias(get_peft_model(base, lora_config(base, tokenizer, lora_settings(gpu), task_type="CAUSAL_LM")))
    return SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(texts), processing_class=tokenizer)


def dpo_trainer(base: Any, tokenizer: Any, train: Any, steps: int, scratch: Path, gpu: bool) -> Any:
    """DPO of each reply against another prompt's, at the recipe's batch of 2 by 8."""
    from datasets import Dataset
    from trl import DPOConfig

    from training.finetune.dpo import build_dpo_trainer
    from training.finetune.loading import add_lora
    from training.finetune.preference_pairs import render_preference

    rows = train.slice(0, 16 * steps + 1).to_pylist()
    pairs = [{**row, "chosen": row["completion"], "rejected": rows[i]["completion"]} for i, row in enumerate(rows[1:])]
    settings = common_arguments(steps, scratch, gpu) | {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 8,
    }
    dataset = Dataset.from_list([render_preference(tokenizer, pair) for pair in pairs])
    return build_dpo_trainer(add_lora(base, tokenizer, lora_settings(gpu)), tokenizer, DPOConfig(**settings), dataset)


def kept_dpo_trainer(*given: Any) -> Any:
    """The same with the reference of an earlier run: what it took to compute is not timed."""
    from training.finetune.reference import keep_reference

    trainer = dpo_trainer(*given)
    keep_reference(trainer, Path(trainer.args.output_dir) / "reference", [])
    return trainer


def stopwatch(pad: int) -> Any:
    """Notes the time after each optimizer step, and counts what really went in: places, and tokens without padding."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []
            self.places = self.tokens = self.at_first = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            model.get_input_embeddings().register_forward_pre_hook(self.count)

        def count(self, module: Any, inputs: Any) -> None:
            if module.training:
                self.places += inputs[0].numel()
                self.tokens += int((inputs[0] != pad).sum())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            import torch

            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.at_first = self.at_first or self.tokens
            self.times.append(time.perf_counter())

    return Stopwatch()


def held_out_loss(model: Any, encoded: Any) -> float:
    """Nats per reply token of held-out pairs, in batches padded on the right."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    model.eval()
    total, count, rows = 0.0, 0, encoded.table.to_pylist()
    with torch.no_grad(), torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=has_bf16()):
        for start in range(0, len(rows), 20):
            batch = rows[start : start + 20]
            ids, labels = (
                pad_sequence([torch.tensor(row[name]) for row in batch], True, fill).to(model.device)
                for name, fill in (("input_ids", 0), ("labels", -100))
            )
            mask = torch.arange(ids.shape[1], device=ids.device) < torch.tensor(
                [[len(row["labels"])] for row in batch], device=ids.device
            )
            hidden = model.get_base_model().model(input_ids=ids, attention_mask=mask, use_cache=False)[0][:, :-1]
            scored = labels[:, 1:] != -100
            logits = model.get_output_embeddings()(hidden[scored]).float()
            total += torch.nn.functional.cross_entropy(logits, labels[:, 1:][scored], reduction="sum").item()
            count += int(scored.sum())
    return round(total / count, 5)
