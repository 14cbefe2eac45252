"""What SFT and DPO share: arguments for TRL, what counts as the same run, and the adapter's card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chat.template import SYSTEM_PROMPT
from hub.cards import model_card
from hub.lineage import Input, Lineage, published
from hub.rights import handed_on, note, of_base, together
from training.recipe import Recipe


def trainer_arguments(trl: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe's TRL fields, with what the chain decides for every run."""
    import torch

    return {
        "report_to": "none",
        "save_total_limit": 2,
        "logging_first_step": True,
        "use_cpu": not torch.cuda.is_available(),
        **trl,
        "output_dir": str(folder / "checkpoints"),
        "push_to_hub": False,
    }


def model_settings(recipe: Recipe) -> dict[str, Any]:
    """The part of the recipe's model section that changes an adapter."""
    return {"four_bit": recipe.model.four_bit, "lora": vars(recipe.model.lora), "system_prompt": SYSTEM_PROMPT}


def context_turns(dialogue: Input) -> int:
    """How many earlier turns the prompts of the dialogue dataset carry."""
    found = published(dialogue.repo, dialogue.type)
    return found[1].facts["context_turns"] if found else 1


def last_loss(trainer: Any) -> float | None:
    """The last loss that the trainer logged."""
    return next((round(entry["loss"], 4) for entry in reversed(trainer.state.log_history) if "loss" in entry), None)


def adapter_card(recipe: Recipe, repo: str, kind: str, base: Input, lineage: Lineage) -> bytes:
    """The card of an adapter, with the licence of its base and the citations of all that it was trained on."""
    names, inherited = recipe.names, of_base(base)
    citations = together([inherited, *map(handed_on, lineage.inputs)]).citations
    metadata = {
        **inherited.license,
        "library_name": "peft",
        "base_model": base.repo,
        "base_model_relation": "adapter",
        "datasets": [names.dialogue] + ([names.preferences] if kind == "dpo" else []),
        "tags": ["trl", "lora", kind],
    }
    return model_card(
        "adapter",
        metadata,
        repo=repo,
        kind=kind,
        base=base.repo,
        system_prompt=SYSTEM_PROMPT,
        facts=lineage.facts,
        settings=lineage.settings,
        results="",
        rights_note=note(inherited),
        citations=citations,
        lineage=lineage,
    ).encode()
