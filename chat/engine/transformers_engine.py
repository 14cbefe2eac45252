"""Engine of any causal model that transformers runs: its own `generate`, and PEFT's mixed batch; slower.

It is a `LocalEngine` that answers one request at a time, all rows of it in one `generate`. Tokens are sampled as there,
by each row's own settings and random generator, in a logits processor that leaves nothing but the sampled token.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chat.engine.continuous_batch import Sequence
from chat.engine.local import LocalEngine, describe_model
from chat.engine.sampler import sample_next_tokens
from chat.engine.spec import base_model, check_adapters, unsupported_reason
from chat.generate import left_padded
from chat.template import stop_ids
from chat.variants import ModelVariants, has_bf16


def open_local_engine(variants: ModelVariants, precision: str = "auto", compiled: bool = False) -> LocalEngine:
    """The engine that serves a model here: the decoder's where it computes the model, else transformers' `generate`.

    Raises ValueError for a precision or adapters that cannot be served.
    """
    if unsupported_reason(variants.model):
        return TransformersEngine(variants, precision)
    return LocalEngine(variants, precision, compiled)


def slower(reason: str | None) -> str:
    """What the line of health adds where `reason` keeps a model from the decoder."""
    return f"; through transformers' generate, slower: {reason}" if reason else ""


class StaticBatch:
    """A batch of sequences that begin together, whose one step is a whole `generate`."""

    def __init__(self, variants: ModelVariants, after_token: Callable[[], bool]) -> None:
        """Starts empty.

        Args:
            variants: the models.
            after_token: called after every token; whether to go on.
        """
        self.variants, self.after_token = variants, after_token
        self.stops = set(stop_ids(variants.tokenizer).values())
        self.rows: list[Sequence] = []

    def admit(self, rows: list[Sequence]) -> None:
        """Adds sequences, before the batch runs."""
        self.rows += rows

    def evict(self, rows: list[Sequence]) -> None:
        """Removes sequences."""
        self.rows = [row for row in self.rows if row not in rows]

    def clear(self) -> None:
        """Removes all sequences."""
        self.rows = []

    def step(self) -> None:
        """Generates all replies."""
        rows = self.rows

        def sample(_: Tensor, logits: Tensor) -> Tensor:
            running = [place for place, row in enumerate(rows) if not row.done]
            asked = [rows[place] for place in running]
            drawn = sample_next_tokens(logits[running], [row.sampling for row in asked], [row.rng for row in asked])
            for row, token in zip(asked, drawn, strict=True):
                row.append(token, self.stops)
            chosen = torch.full_like(logits, -math.inf)
            chosen[range(len(rows)), [row.reply[-1] for row in rows]] = 0
            return chosen

        def ended(ids: Tensor, _: Any, **options: Any) -> Tensor:
            stopped = not self.after_token()
            return torch.tensor([row.done or stopped for row in rows], device=ids.device)

        tokens, mask = left_padded([row.prompt for row in rows], self.variants)
        with self.variants.exclusive() as model, torch.inference_mode():
            model.generate(
                input_ids=tokens,
                attention_mask=mask,
                do_sample=False,  # `sample` has
                max_new_tokens=max(row.sampling.max_new_tokens for row in rows),
                eos_token_id=list(self.stops),
                pad_token_id=self.variants.tokenizer.pad_token_id,
                logits_processor=[sample],
                stopping_criteria=[ended],
                **self.variants.adapter_names([row.variant for row in rows]),
            )


class TransformersEngine(LocalEngine):
    """Engine that answers with transformers' `generate`, one request at a time."""

    shared_rows = 0

    def __init__(self, variants: ModelVariants, precision: str = "auto", every: float = 1 / 30) -> None:
        """Casts a model of bf16 to float32 where that is asked for, or faster on this CPU.

        Args:
            variants: the base and its adapters; the engine owns the model from then on.
            precision: as of a `LocalEngine`; nf4, int8 and int4 are the decoder's alone, and count as auto.
            every: seconds at least between two updates of a stream.

        Raises ValueError for adapters that cannot be mixed.
        """
        model = variants.model
        check_adapters(model)
        slow_bf16 = model.device.type == "cpu" and not has_bf16() and precision != "bf16"
        if (precision == "float32" or slow_bf16) and not getattr(model.config, "quantization_config", None):
            model.float()
        held = str(model.dtype).removeprefix("torch.").replace("bfloat16", "bf16")
        line = describe_model(variants, held if precision in ("auto", held) else f"{held} instead of {precision}")
        longest = getattr(base_model(model).config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        self.program, self._batch = None, StaticBatch(variants, self._go_on)
        self._start(variants, longest, line + slower(unsupported_reason(model)), every)

    def _go_on(self) -> bool:
        self._update()
        return any(not (one.answered or one.stopped.is_set()) for one in self._running)
