"""One base model in memory, and the adapters that make voices of it: base, sft, dpo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.template import adopt

if TYPE_CHECKING:
    from collections.abc import Iterator

VOICES = ("base", "sft", "dpo")


@dataclass
class Voices:
    """A model (a PeftModel where there are adapters), its tokenizer, and who can speak."""

    model: Any
    tokenizer: Any
    names: tuple[str, ...]
    revisions: dict[str, str] = field(default_factory=dict)
    context_turns: int = 1

    def adapter_names(self, names: list[str]) -> dict[str, list[str]]:
        """The argument that lets PEFT run another adapter in every row of one batch."""
        unknown = set(names) - set(self.names)
        if unknown:
            raise ValueError(f"no voice called {', '.join(sorted(unknown))}; there are {', '.join(self.names)}")
        if self.names == ("base",):
            return {}
        return {"adapter_names": ["__base__" if name == "base" else name for name in names]}

    @contextmanager
    def speaking(self, name: str) -> Iterator[Any]:
        """Yields the model with one voice for every row, and puts back what was active."""
        self.adapter_names([name])
        if self.names == ("base",):
            yield self.model
        elif name == "base":
            with self.model.disable_adapter():
                yield self.model
        else:
            before = self.model.active_adapter
            self.model.set_adapter(name)
            try:
                yield self.model
            finally:
                self.model.set_adapter(before)


def load(
    base: str,
    adapters: Mapping[str, str],
    revisions: Mapping[str, str] | None = None,
    device: str | None = None,
    dtype: Any = None,
    four_bit: bool = False,
) -> Voices:
    """Loads one base and every adapter on it.

    Args:
        base: Hub id or folder.
        adapters: voice to Hub id or folder, e.g. `{"sft": "me/repartee-qwen2.5-3b-sft"}`.
        revisions: voice (and `base`) to full commit sha.
        dtype: float32 on a CPU and bfloat16 on a GPU unless given.
        four_bit: NF4 with double quantization and bf16 compute.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    revisions = dict(revisions or {})
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device != "cpu" else torch.float32)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    pinned = {"revision": revisions["base"]} if "base" in revisions else {}
    tokenizer = adopt(AutoTokenizer.from_pretrained(base, **pinned))
    model: Any = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, device_map=device, quantization_config=quantization if four_bit else None, **pinned
    )
    if adapters:
        from peft import PeftModel

        for number, (name, repo) in enumerate(adapters.items()):
            at = {"revision": revisions[name]} if name in revisions else {}
            if number == 0:
                model = PeftModel.from_pretrained(model, repo, adapter_name=name, autocast_adapter_dtype=False, **at)
            else:
                model.load_adapter(repo, adapter_name=name, autocast_adapter_dtype=False, **at)
    turns = [_context_turns(repo, revisions.get(name)) for name, repo in adapters.items()]
    return Voices(model.eval(), tokenizer, ("base", *adapters), revisions, min(turns, default=1))


def _context_turns(repo: str, revision: str | None) -> int:
    """How many earlier turns an adapter was trained with, from its lineage; 1 where it does not say."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    path = Path(repo) / "lineage.json"
    if not Path(repo).is_dir():
        try:
            path = Path(hf_hub_download(repo, "lineage.json", revision=revision))
        except EntryNotFoundError:
            return 1
    return json.loads(path.read_text())["facts"].get("context_turns", 1) if path.exists() else 1
