"""One base model in memory, and the adapters that make variants of it: base, sft, dpo."""

from __future__ import annotations

import copy
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chat.adapter_check import AdapterError, adapter_config, check_loaded, readable_adapter, token_modules
from chat.embeddings import make_room
from chat.reply_format import ChatTurns, ReplyFormat
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
    formats: Mapping[str, ReplyFormat] = field(default_factory=dict)
    """Variant to reply format; of those that are not named, the chat format's turns."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def format_of(self, name: str) -> ReplyFormat:
        """The reply format of a variant."""
        return self.formats.get(name) or ChatTurns(self.tokenizer)

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
        if len(self.names) == 1:
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

    Raises AdapterError for an adapter that is no plain LoRA or does not fit the base, and where only some of them have
    trained tokens: PEFT cannot mix those in one batch.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig

    adapters = dict(adapters or {})
    set_matmul_precision()
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
    make_room(model, tokenizer)
    if adapters:
        model = _with_adapters(model, adapters)
    revisions = revisions_of({"base": base, **adapters})
    return ModelVariants(model.eval(), tokenizer, ("base", *adapters), revisions, context_turns(adapters.values()))


def set_matmul_precision() -> None:
    """Sets the precision of float32 products from REPARTEE_MATMUL: highest (unless set), high or medium.

    With medium a CPU that has instructions for it multiplies in bf16 and sums in float32
    (`torch.set_float32_matmul_precision`), and bulk generation has weights of bf16.

    Raises:
        AdapterError: it is another word.
    """
    import torch

    if precision := os.environ.get("REPARTEE_MATMUL", "").strip():
        if precision not in ("highest", "high", "medium"):
            raise AdapterError(f"REPARTEE_MATMUL is {precision!r}; it takes highest, high or medium")
        torch.set_float32_matmul_precision(precision)


def _with_adapters(model: Any, adapters: Mapping[str, ModelRef]) -> Any:
    from peft import PeftModel

    configs = {name: adapter_config(name, ref.repo, ref.pinned) for name, ref in adapters.items()}
    trained = {name: token_modules(config) for name, config in configs.items()}
    if len(set(trained.values())) > 1:
        found = " and ".join(f"{name} has trained tokens in {where or 'no place'}" for name, where in trained.items())
        raise AdapterError(f"{found}: PEFT cannot mix them in one batch; train both with the same train_chat_tokens")
    options: dict[str, Any] = {"autocast_adapter_dtype": False}  # else bf16 adapters become float32
    for number, (name, ref) in enumerate(adapters.items()):
        with readable_adapter(name, ref.repo):
            if number:
                check_loaded(model.load_adapter(ref.repo, adapter_name=name, **options, **ref.pinned))
            else:
                model = PeftModel.from_pretrained(model, ref.repo, adapter_name=name, **options, **ref.pinned)
    return model


def merged(variants: ModelVariants, name: str) -> ModelVariants:
    """One variant as a plain model under its name: a copy of the weights with its adapter merged into them.

    Where all rows are of one variant, it saves the look-up of adapters in every layer.
    """
    with variants.exclusive() as model:
        plain = copy.deepcopy(model)
    if variants.names != ("base",):
        plain = plain.unload() if name == "base" else plain.merge_and_unload(adapter_names=[name])
    return replace(variants, model=plain, names=(name,))


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
