"""What a voice thinks of a reply: log-probabilities per token, and pointwise mutual information with the prompt."""

from __future__ import annotations

from chat.template import Message, encode_prompt, encode_reply
from chat.voices import Voices

Pair = tuple[list[Message], str]


def log_probs(voices: Voices, name: str, pairs: list[Pair], batch_size: int = 32) -> list[list[float]]:
    """Returns log p(token | prompt, tokens before) in nats for every token of each reply, its `<|im_end|>` included."""
    import torch

    encoded = [(encode_prompt(voices.tokenizer, prompt), encode_reply(voices.tokenizer, reply)) for prompt, reply in pairs]
    order = sorted(range(len(encoded)), key=lambda index: sum(map(len, encoded[index])))
    results: dict[int, list[float]] = {}
    with voices.speaking(name) as model, torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            width = max(sum(map(len, encoded[index])) for index in batch)
            keep = max(width - len(encoded[index][0]) for index in batch) + 1
            rows = [prompt + reply for prompt, reply in (encoded[index] for index in batch)]
            pad = voices.tokenizer.pad_token_id
            tokens = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=model.device)
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
            logits = model(input_ids=tokens, attention_mask=mask, use_cache=False, logits_to_keep=keep).logits
            scores = torch.log_softmax(logits.float(), dim=-1)[:, :-1]  # the last position predicts nothing we have
            chosen = scores.gather(-1, tokens[:, width - keep + 1 :, None])[..., 0]
            for row, index in enumerate(batch):
                first = len(encoded[index][0]) - (width - keep + 1)
                results[index] = chosen[row, first : first + len(encoded[index][1])].tolist()
    return [results[index] for index in range(len(pairs))]


def pmi(voices: Voices, name: str, pairs: list[Pair]) -> list[float]:
    """Pointwise mutual information of each reply with its prompt, in nats per token.

    The mean over the reply's tokens, end token included, of log p(token | prompt, before) less
    log p(token | empty prompt, before): what the prompt adds to the reply (Li et al., 2016, who use it against dull
    replies). The empty prompt is the same messages with the last one empty.
    """
    empty = {reply: (without_prompt(prompt), reply) for prompt, reply in pairs}
    alone = {reply: scores for reply, scores in zip(empty, log_probs(voices, name, list(empty.values())), strict=True)}
    given = log_probs(voices, name, pairs)
    return [
        (sum(scores) - sum(alone[reply])) / len(scores) for scores, (_, reply) in zip(given, pairs, strict=True)
    ]


def without_prompt(prompt: list[Message]) -> list[Message]:
    """The system message and an empty user message: a reply's setting with nothing to reply to."""
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, {"role": "user", "content": ""}]
