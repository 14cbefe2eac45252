"""DPO's reference log-probabilities, computed once for a pair and kept for the next run of other settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.stage import log_progress

REFERENCE_COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")
"""The columns that TRL's collator and loss read: log-probability of a whole reply under the reference, in nats."""


def keep_reference(trainer: Any, folder: Path, model: Sequence[Any]) -> None:
    """Gives a DPOTrainer's data sets their reference log-probabilities; the steps then compute the policy's alone.

    A pair that a file in the folder has is not computed again. Killed, it carries on; processes share the work. TRL's
    own `precompute_ref_log_probs` asks a reference that is not yet complete (`complete_reference`), once a run. Under
    FSDP and DeepSpeed, where the model is whole on no device before it trains, the reference is asked at every step.

    Args:
        trainer: whose reference is complete.
        folder: where the numbers are kept, one file for each reference and process.
        model: what the reference is and how it is computed, as JSON: contents of base and adapter, precision, length.
    """
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return
    name = hashlib.sha256(json.dumps([*model, trainer.ld_alpha]).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f"{name}-{trainer.accelerator.process_index}.jsonl"
    for kind in ("train_dataset", "eval_dataset"):
        if (pairs := getattr(trainer, kind)) is None:
            continue
        keys, lengths = zip(*((pair_key(row), longest_text(row)) for row in pairs), strict=True)
        known = read_known(folder, name)
        wanted = [place for place, key in enumerate(keys) if key not in known]
        if wanted:
            log_progress("dpo", f"reference of {len(wanted):,} pairs, of {len(keys) - len(wanted):,} it is known")
            compute(trainer, pairs, batches_of(wanted, lengths, trainer), keys, own)
        trainer.accelerator.wait_for_everyone()
        known = read_known(folder, name)
        for column, side in zip(REFERENCE_COLUMNS, (0, 1), strict=True):
            pairs = pairs.add_column(column, [known[key][side] for key in keys])
        setattr(trainer, kind, pairs)
    trainer.precompute_ref_logps = True


def compute(trainer: Any, pairs: Any, batches: list[list[int]], keys: Sequence[str], path: Path) -> None:
    """Appends the numbers of pairs, by their places in batches, to a file, a batch at a time."""
    import torch

    model, was_training = trainer.model, trainer.model.training
    model.eval()
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write("\n" if torn else "")
        for batch in batches:
            inputs = trainer.data_collator([pairs[place] for place in batch])
            inputs = {key: value.to(trainer.accelerator.device) for key, value in inputs.items()}
            with torch.no_grad():
                sides = trainer.compute_ref_log_probs(model, inputs)
            for place, chosen, rejected in zip(batch, *(side.float().tolist() for side in sides), strict=True):
                file.write(json.dumps([keys[place], chosen, rejected]) + "\n")
            file.flush()
            os.fsync(file.fileno())
    model.train(was_training)


def batches_of(wanted: list[int], lengths: Sequence[int], trainer: Any) -> list[list[int]]:
    """The batches of this process, the longest first: pairs of like length together, so that little is padding."""
    size = 2 * trainer.args.per_device_train_batch_size
    ordered = sorted(wanted, key=lambda place: -lengths[place])
    batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
    return batches[trainer.accelerator.process_index :: trainer.accelerator.num_processes]


def longest_text(row: Mapping[str, Any]) -> int:
    """Tokens of the prompt with the longer reply."""
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def pair_key(row: Mapping[str, Any]) -> str:
    """A pair by its token ids."""
    ids = [row[column] for column in ("prompt_ids", "chosen_ids", "rejected_ids")]
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def read_known(folder: Path, name: str) -> dict[str, tuple[float, float]]:
    """The numbers that are kept of a reference, by pair; a line that a kill has torn is none."""
    known = {}
    for path in folder.glob(f"{name}-*.jsonl"):
        for line in path.read_text().splitlines():
            try:
                key, chosen, rejected = json.loads(line)
            except ValueError:
                continue
            known[key] = (chosen, rejected)
    return known
