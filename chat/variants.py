"""One base model in memory, and the adapters that make variants of it: base, sft, dpo."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.template import configure_tokenizer

VARIANTS = ("base", "sft", "dpo")
PRECISIONS = ("float32", "bf16", "nf4", "int8", "int4")  # of an engine's weights, see chat.engine.quantized


@dataclass
class ModelVariants:
    """A model (a PeftModel where there are adapters), its tokenizer, and who can speak."""

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
    base: str,
    adapters: Mapping[str, str],
    revisions: Mapping[str, str] | None = None,
    device: str | None = None,
    dtype: Any = None,
    four_bit: bool = False,
) -> ModelVariants:
    """Loads one base and every adapter on it, ready for inference.

    Args:
        base: Hub id or folder.
        adapters: variant to Hub id or folder, e.g. `{"sft": "me/repartee-qwen2.5-3b-sft"}`; none gives the plain base.
        revisions: variant (and `base`) to full commit sha.
        device: a GPU where there is one, unless given.
        dtype: float32 on a CPU and bfloat16 on a GPU, unless given.
        four_bit: NF4 with double quantization and bf16 compute.

    Raises ValueError where only some of the adapters have trained tokens: PEFT cannot mix those in one batch.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig

    revisions = dict(revisions or {})
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device != "cpu" else torch.float32)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    pinned = _pinned(revisions, "base")
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(base, **pinned))
    model: Any = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, device_map=device, quantization_config=quantization if four_bit else None, **pinned
    )
    model.generation_config = GenerationConfig()  # a base's own (Qwen's has a repetition penalty) is not our sampling
    if adapters:
        model = _with_adapters(model, adapters, revisions)
    return ModelVariants(model.eval(), tokenizer, ("base", *adapters), revisions, context_turns(adapters, revisions))


def _with_adapters(model: Any, adapters: Mapping[str, str], revisions: Mapping[str, str]) -> Any:
    from peft import PeftConfig, PeftModel

    configs = {name: PeftConfig.from_pretrained(repo, **_pinned(revisions, name)) for name, repo in adapters.items()}
    some = [name for name, config in configs.items() if config.trainable_token_indices]
    rest = [name for name in configs if name not in some]
    if some and rest:
        raise ValueError(
            f"{', '.join(some)} has trained tokens and {', '.join(rest)} has none: PEFT cannot mix them in one batch; "
            "train both with the same train_chat_tokens"
        )
    (first, repo), *others = adapters.items()
    options: dict[str, Any] = {"autocast_adapter_dtype": False}  # else bf16 adapters become float32
    model = PeftModel.from_pretrained(model, repo, adapter_name=first, **options, **_pinned(revisions, first))
    for name, repo in others:
        model.load_adapter(repo, adapter_name=name, **options, **_pinned(revisions, name))
    return model


def _pinned(revisions: Mapping[str, str], name: str) -> dict[str, Any]:
    return {"revision": revisions[name]} if name in revisions else {}


def context_turns(adapters: Mapping[str, str], revisions: Mapping[str, str]) -> int:
    """How many earlier messages all of the adapters, repositories or folders by variant, were trained to read."""
    return min((_context_turns(repo, revisions.get(name)) for name, repo in adapters.items()), default=1)


def _context_turns(repo: str, revision: str | None) -> int:
    """How many earlier messages an adapter was trained with, from its lineage; 1 where it does not say."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    path = Path(repo) / "lineage.json"
    if not Path(repo).is_dir():
        try:
            path = Path(hf_hub_download(repo, "lineage.json", revision=revision))
        except EntryNotFoundError:
            return 1
    return json.loads(path.read_text("utf-8")).get("facts", {}).get("context_turns", 1) if path.exists() else 1


def has_bf16() -> bool:
    """Whether bf16 arithmetic is native here: on every GPU that trains Qwen, and on a CPU that oneDNN has kernels for.

    A CPU without them (AVX2 alone, as most laptops have) emulates it: a training step of the starter takes 58 s in bf16
    and 1.9 s in float32 (two cores of a Zen 3).
    """
    import torch

    return torch.cuda.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
