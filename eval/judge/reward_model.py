"""Reward model: a causal model with one score in place of its head, asked for the score of a reply."""

from __future__ import annotations

from typing import Any

from chat.embeddings import make_room
from chat.likelihood import Pair
from chat.template import configure_tokenizer, encode_prompt, encode_reply
from chat.variants import ModelRef
from eval.judge.adapters import adapter_base, is_adapter
from hub.errors import UserError

BATCH = 32


class RewardModel:
    """A published reward model: an adapter with a score head (`training.reward`), or a whole model with `num_labels=1`.

    Args:
        ref: Hub id or folder, and revision.
    """

    def __init__(self, ref: ModelRef) -> None:
        import torch
        from peft import PeftConfig, PeftModel
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        adapted = is_adapter(ref)
        whole = adapter_base(ref) if adapted else ref
        self.tokenizer: Any = configure_tokenizer(AutoTokenizer.from_pretrained(whole.repo, **whole.pinned))
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            whole.repo, num_labels=1, dtype=dtype, output_loading_info=True, **whole.pinned
        )
        if adapted:
            has_head = PeftConfig.from_pretrained(ref.repo, **ref.pinned).task_type == "SEQ_CLS"
        else:
            has_head = not loaded["missing_keys"]
        if not has_head:
            raise UserError(f"{ref.repo} has no score head; reward:HUB_ID takes a reward model (training.reward)")
        make_room(model, self.tokenizer)
        model.config.pad_token_id = self.tokenizer.pad_token_id
        if adapted:
            model = PeftModel.from_pretrained(model, ref.repo, **ref.pinned)
        self.model = model.to(device).eval()

    def score(self, pairs: list[Pair]) -> list[float]:
        """The score of each reply to its prompt."""
        return head_scores(self.model, self.tokenizer, pairs)


def head_scores(model: Any, tokenizer: Any, pairs: list[Pair]) -> list[float]:
    """Scores of a model's head, read at the token that ends each reply; in batches of like length."""
    import torch

    rows = [encode_prompt(tokenizer, prompt) + encode_reply(tokenizer, reply) for prompt, reply in pairs]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    scores: dict[int, float] = {}
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        padded: Any = tokenizer.pad(
            {"input_ids": [rows[index] for index in batch]}, padding_side="right", return_tensors="pt"
        )
        with torch.inference_mode():
            found = model(**padded.to(model.device)).logits[:, 0].float().tolist()
        scores |= dict(zip(batch, found, strict=True))
    return [scores[index] for index in range(len(pairs))]
