"""Adapters that judge: the base that each was trained on, and DPO's beta, by what they publish of themselves."""

from __future__ import annotations

from pathlib import Path

from chat.variants import ModelRef
from hub.errors import UserError
from hub.lineage import Lineage, fetch_lineage

BETA = 0.1
"""Scale of the implicit reward where an adapter's lineage does not say what DPO trained it with: TRL's default."""


def is_adapter(ref: ModelRef) -> bool:
    """Whether a repository or folder holds an adapter of PEFT's."""
    from huggingface_hub import file_exists

    if Path(ref.repo).is_dir():
        return (Path(ref.repo) / "adapter_config.json").exists()
    return file_exists(ref.repo, "adapter_config.json", revision=ref.revision)


def adapter_base(ref: ModelRef) -> ModelRef:
    """The base that an adapter was trained on: the first input of its lineage, else what its PEFT config names.

    Raises:
        UserError: it is no adapter.
    """
    from peft import PeftConfig

    if lineage := _lineage(ref):
        return ModelRef(lineage.inputs[0].repo, lineage.inputs[0].revision)
    if not is_adapter(ref):
        raise UserError(f"{ref.repo} is no adapter of PEFT's, or is not there; an implicit reward needs one")
    return ModelRef(str(PeftConfig.from_pretrained(ref.repo, **ref.pinned).base_model_name_or_path))


def dpo_beta(ref: ModelRef) -> float:
    """Beta that DPO trained an adapter with, by its lineage; `BETA` where that does not say."""
    lineage = _lineage(ref)
    return float(lineage.settings.get("dpo", {}).get("trl", {}).get("beta", BETA)) if lineage else BETA


def _lineage(ref: ModelRef) -> Lineage | None:
    """Lineage of a published model; None where it has none, or is a folder."""
    if Path(ref.repo).is_dir():
        return None
    found = fetch_lineage(ref.repo, "model", ref.revision)
    return found[1] if found else None
