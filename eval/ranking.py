"""Candidate ranking: log-likelihoods of many replies to one prompt, with one prefill of the prompt.

Ranking 20 replies to a line by `chat.likelihood.log_probs` reads the line 20 times. Here the replies stand behind one
copy of it in a single row, each at the positions it would have by itself, and see the prompt and themselves alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chat.template import Message, encode_prompt, encode_reply
from chat.variants import ModelVariants

MAX_ROW_TOKENS = 512  # reply tokens behind one prompt; attention cost grows with the square of the row


def log_probs_of_many(
    variants: ModelVariants, name: str, prompt: list[Message], replies: Sequence[str]
) -> list[list[float]]:
    """Log-probabilities of each reply's tokens in nats, as `log_probs` gives them one by one, up to rounding.

    Several replies share one row behind the prompt under a block-diagonal attention mask (tree attention).
    """
    import torch

    head = encode_prompt(variants.tokenizer, prompt)
    scores: list[list[float]] = []
    with variants.exclusive() as model, torch.inference_mode():
        for tails in _rows([encode_reply(variants.tokenizer, reply) for reply in replies]):
            ids = [*head, *(token for tail in tails for token in tail)]
            tokens = torch.tensor([ids], device=model.device)
            owner = torch.tensor([0] * len(head) + [n for n, tail in enumerate(tails, 1) for _ in tail])
            places = [*range(len(head)), *(len(head) + i for tail in tails for i in range(len(tail)))]
            seen = (owner[:, None] == owner) | (owner == 0)
            hidden = ~seen.tril()
            mask = torch.zeros(hidden.shape, dtype=model.dtype).masked_fill(hidden, torch.finfo(model.dtype).min)
            logits = model(
                input_ids=tokens,
                attention_mask=mask[None, None].to(model.device),
                position_ids=torch.tensor([places], device=model.device),
                use_cache=False,
                logits_to_keep=len(ids) - len(head) + 1,
                **variants.adapter_names([name]),
            ).logits[0]
            predicted = torch.log_softmax(logits.float(), dim=-1)  # row 0 is the prompt's last position
            start = 0
            for tail in tails:
                by = torch.tensor([0, *range(start + 1, start + len(tail))], device=model.device)
                scores.append(predicted[by, torch.tensor(tail, device=model.device)].tolist())
                start += len(tail)
    return scores


def _rows(tails: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """Groups replies in order, at most MAX_ROW_TOKENS tokens together (a longer one goes by itself)."""
    row: list[list[int]] = []
    for tail in tails:
        if row and sum(map(len, row)) + len(tail) > MAX_ROW_TOKENS:
            yield row
            row = []
        row.append(tail)
    if row:
        yield row
