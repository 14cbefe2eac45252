"""One base model in memory, and the adapters that make variants of it: base, sft, dpo."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.template import configure_tokenizer

VARIANTS = ("base", "sft", "dpo")
PRECISIONS = ("float32", "bf16", "nf4", "int8", "int4")  # of an engine's weights, see chat.engine.quantized


@dataclass(frozen=True)
class ModelRef:
    """A model or adapter and the commit that is meant."""

    repo: str
    """Hub id, or a folder of this machine."""
    revision: str | None = None
    """Branch, tag or full commit sha; None is main, and says nothing of a folder."""

    @property
    def pinned(self) -> dict[str, Any]:
        """The keyword `revision` of `from_pretrained`, where there is one."""
        return {"revision": self.revision} if self.revision else {}


def revisions_of(refs: Mapping[str, ModelRef]) -> dict[str, str]:
    """Revision by variant, of those that have one."""
    return {name: ref.revision for name, ref in refs.items() if ref.revision}


@dataclass
class ModelVariants:
    """A base model with LoRA adapters loaded side by side (a PeftModel where there are any), and its tokenizer."""

    model: Any
    tokenizer: Any
    names: tuple[str, ...]
    """`base`, then the adapters."""
    revisions: dict[str, str] = field(default_factory=dict)
    """Variant to full commit sha, for what was loaded by revision."""
    context_turns: int = 1
    """How many messages before the reply the adapters were trained to read."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def exclusive(self) -> Iterator[Any]:
        """Yields the model to one thread at a time, and leaves it without hooks.

        PEFT keeps the adapters of a batch's rows in hooks on every layer. Two threads would hear each other's variants,
        in silence; and PEFT 0.21 leaves the hooks behind when a batch fails, to spoil the next.
        """
        with self._lock:
            before = [(module, set(module._forward_pre_hooks)) for module in self.model.modules()]
            try:
                yield self.model
            finally:
                for module, hooks in before:
                    for left in set(module._forward_pre_hooks) - hooks:
                        del module._forward_pre_hooks[left]
                        module._forward_pre_hooks_with_kwargs.pop(left, None)

    def adapter_names(self, names: list[str]) -> dict[str, list[str]]:
        """The argument that lets PEFT run another adapter in every row of one batch, one name a row.

        It changes no state, unlike `set_adapter`. Raises ValueError for an unknown variant.
        """
        unknown = set(names) - set(self.names)
        if unknown:
            raise ValueError(f"no variant called {', '.join(sorted(unknown))}; there are {', '.join(self.names)}")
        if self.names == ("base",):
            return {}
        return {"adapter_names": ["__base__" if name == "base" else name for name in names]}


def load_variants(
    base: ModelRef,
    adapters: Mapping[str, ModelRef] | None = None,
    device: str | None = None,
    dtype: Any = None,
    four_bit: bool = False,
) -> ModelVariants:
    """Loads one base and every adapter on it, ready for inference.

    Args:
        base: Hub id or folder, and revision.
        adapters: by variant, e.g. `{"sft": ModelRef("me/repartee-qwen2.5-3b-sft")}`; none gives the plain base.
        device: a GPU where there is one, unless given.
        dtype: float32 on a CPU and bfloat16 on a GPU, unless given.
        four_bit: NF4 with double quantization and bf16 compute.

    Raises ValueError where only some of the adapters have trained tokens: PEFT cannot mix those in one batch.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig

    adapters = dict(adapters or {})
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device != "cpu" else torch.float32)
    quantization = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(base.repo, **base.pinned))
    model: Any = AutoModelForCausalLM.from_pretrained(
        base.repo, dtype=dtype, device_map=device, quantization_config=quantization if four_bit else None, **base.pinned
    )
    # A base's own (Qwen's has a repetition penalty) is not our sampling.
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    if adapters:
        model = _with_adapters(model, adapters)
    revisions = revisions_of({"base": base, **adapters})
    return ModelVariants(model.eval(), tokenizer, ("base", *adapters), revisions, context_turns(adapters.values()))


def _with_adapters(model: Any, adapters: Mapping[str, ModelRef]) -> Any:
    from peft import PeftConfig, PeftModel

    configs = {name: PeftConfig.from_pretrained(ref.repo, **ref.pinned) for name, ref in adapters.items()}
    some = [name for name, config in configs.items() if config.trainable_token_indices]
    rest = [name for name in configs if name not in some]
    if some and rest:
        raise ValueError(
            f"{', '.join(some)} has trained tokens and {', '.join(rest)} has none: PEFT cannot mix them in one batch; "
            "train both with the same train_chat_tokens"
        )
    (first, ref), *others = adapters.items()
    options: dict[str, Any] = {"autocast_adapter_dtype": False}  # else bf16 adapters become float32
    model = PeftModel.from_pretrained(model, ref.repo, adapter_name=first, **options, **ref.pinned)
    for name, ref in others:
        model.load_adapter(ref.repo, adapter_name=name, **options, **ref.pinned)
    return model


def context_turns(adapters: Iterable[ModelRef]) -> int:
    """How many earlier messages all of the adapters were trained to read; 1 where there are none."""
    return min(map(_context_turns, adapters), default=1)


def _context_turns(ref: ModelRef) -> int:
    """How many earlier messages an adapter was trained with, from its lineage; 1 where it does not say."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    path = Path(ref.repo) / "lineage.json"
    if not Path(ref.repo).is_dir():
        try:
            path = Path(hf_hub_download(ref.repo, "lineage.json", revision=ref.revision))
        except EntryNotFoundError:
            return 1
    return json.loads(path.read_text("utf-8")).get("facts", {}).get("context_turns", 1) if path.exists() else 1


def has_bf16() -> bool:
    """Whether bf16 arithmetic is native here: on every GPU that trains Qwen, and on a CPU that oneDNN has kernels for.

    A CPU without them (AVX2 alone, as most laptops have) emulates it: a training step of the starter takes 58 s in bf16
    and 1.9 s in float32 (two cores of a Zen 3).
    """
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)  # private: it may go
    return torch.cuda.is_available() or bool(supported())
