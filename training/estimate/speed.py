"""Speed of a device on a model of some shape: by its data sheet, or, of this machine, by a step that is timed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.estimate.assumptions import Device, assumptions
from training.estimate.work import BF16, Work
from training.finetune.memory_plan import GB, NF4_BYTES, Shape, flops_per_token

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

MIN_SECONDS = 1.0
"""How long a probe is repeated at least: other processes come and go within tenths of it."""
ROW, MIN_ROW, PROBE = 512, 64, 5e9
"""Tokens of a row that is trained on and read: ROW, or fewer, so that with a layer's weights they make PROBE."""
FILLER = 0.01
"""What a probe's weights are: finite, and no number that a processor is slow with."""


@dataclass(frozen=True)
class Speed:
    """Seconds a token of one model on one device."""

    trained: float
    read: float
    sampled: float
    start: float = 0.0
    """Seconds until a new process has imported what it needs."""

    def hours(self, work: Work) -> float:
        """Hours of a stage's work, the start of its process with it, without the calls to an LLM."""
        seconds = work.trained * self.trained + work.read * self.read + work.sampled * self.sampled + self.start
        return seconds / 3600


def speed_of(device: Device, shape: Shape, four_bit: bool, checkpointing: bool) -> Speed:
    """Speed by a device's data sheet and the shares of it that `assumptions.yaml` has.

    Training and reading are bound by arithmetic (`flops_per_token`), sampling by the weights that each step of a batch
    reads, or by arithmetic where that takes longer.
    """
    own, tokens = assumptions().speed, assumptions().tokens
    scored = tokens["reply"] / tokens["pair"]
    flops = device.tflops * 1e12
    forward = flops_per_token(shape, checkpointing=False, scored=scored) / 2
    weights = shape.linear * (NF4_BYTES if four_bit else BF16) + shape.vocab * shape.hidden * BF16
    step = weights / (own["sampling"] * device.gigabytes_per_second * GB)
    return Speed(
        flops_per_token(shape, checkpointing, scored) / (own["training"] * flops),
        forward / (own["reading"] * flops),
        max(step / own["rows"], 2 * (shape.linear + shape.vocab * shape.hidden) / (own["reading"] * flops)),
        own["start"],
    )


def measured_speed(config: PretrainedConfig, r: int, checkpointing: bool) -> Speed:
    """Speed of this machine, by models of one and of two layers of this shape with random weights.

    Their difference is a layer, what is left of the smaller one the embedding and the head; a model of n layers takes n
    of the one and the other once.

    Args:
        config: of the base.
        r: rank of the adapters.
        checkpointing: activations are computed again in the backward pass.
    """
    import torch

    from chat.variants import has_bf16

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if has_bf16() else torch.float32
    shape = Shape.of(config)
    tokens = int(min(ROW, max(MIN_ROW, PROBE / (shape.linear / shape.layers))))
    kept = max(1, round(tokens * assumptions().tokens["reply"] / assumptions().tokens["pair"]))
    rows = int(assumptions().speed["rows"])
    seconds: list[tuple[float, ...]] = []
    for layers in (1, 2):
        model = small_model(config, layers, r, device, dtype)
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
        ids = torch.randint(0, model.config.vocab_size, (1, tokens), device=device)
        one = torch.randint(0, model.config.vocab_size, (rows, 1), device=device)

        def train(model: Any = model, ids: Any = ids) -> None:
            model.train()
            logits = model(input_ids=ids, logits_to_keep=kept, use_cache=False).logits
            torch.nn.functional.cross_entropy(logits[0].float(), ids[0, -kept:]).backward()

        def forward(model: Any = model, ids: Any = ids, keep: int = kept) -> None:
            with torch.inference_mode():
                model.eval()(input_ids=ids, logits_to_keep=keep, use_cache=False)

        def sample(model: Any = model, one: Any = one) -> None:
            forward(model, one, 1)

        seconds.append((seconds_of(train) / tokens, seconds_of(forward) / tokens, seconds_of(sample) / rows))
    (t1, r1, s1), (t2, r2, s2) = seconds
    whole = config.get_text_config().num_hidden_layers
    return Speed(*(less + (whole - 1) * max(0.0, more - less) for less, more in ((t1, t2), (r1, r2), (s1, s2))))


def small_model(config: PretrainedConfig, layers: int, r: int, device: str, dtype: torch.dtype) -> Any:
    """Model of a shape with few layers and adapters of rank r; every weight is FILLER, which is quicker than chance."""
    import copy

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    small = copy.deepcopy(config.get_text_config())
    small.num_hidden_layers = layers
    if getattr(small, "layer_types", None):
        small.layer_types = small.layer_types[:layers]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(small, dtype=dtype)
    model = model.to_empty(device=device)
    for value in (*model.parameters(), *model.buffers()):
        value.data.fill_(FILLER)
    return get_peft_model(model, LoraConfig(r=r, target_modules="all-linear", task_type="CAUSAL_LM"))


def seconds_of(run: Callable[[], None]) -> float:
    """Seconds of one run: the mean of those that MIN_SECONDS hold, after one that warms up.

    The mean, not the fastest: a stage runs for long, and meets whatever runs beside it.
    """
    import torch

    def finished() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    run()
    began, runs = finished(), 0
    while True:
        run()
        runs += 1
        if (taken := finished() - began) > MIN_SECONDS:
            return taken / runs


def start_seconds() -> float:
    """Seconds that a new process takes here until it has imported what a training imports, measured now."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "from trl import DPOTrainer, SFTTrainer"], check=True, capture_output=True)
    return time.perf_counter() - started
