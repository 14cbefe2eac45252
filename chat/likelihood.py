"""What a variant thinks of a reply: log-probabilities per token, and pointwise mutual information with the prompt."""

from __future__ import annotations

from chat.generate import left_padded
from chat.template import Message, encode_prompt, encode_reply
from chat.variants import ModelVariants

Pair = tuple[list[Message], str]  # a prompt and a reply to it


def log_probs(variants: ModelVariants, name: str, pairs: list[Pair], batch_size: int = 32) -> list[list[float]]:
    """Returns log p(token | prompt, tokens before) in nats for every token of each reply, its `<|im_end|>` included.

    Computed in float32 and in batches of like length; logits are made for the reply's places only.
    """
    encoded = [
        (encode_prompt(variants.tokenizer, prompt), encode_reply(variants.tokenizer, reply)) for prompt, reply in pairs
    ]
    order = sorted(range(len(encoded)), key=lambda index: sum(map(len, encoded[index])))
    results: dict[int, list[float]] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        results |= dict(zip(batch, _score(variants, name, [encoded[index] for index in batch]), strict=True))
    return [results[index] for index in range(len(pairs))]


def _score(variants: ModelVariants, name: str, encoded: list[tuple[list[int], list[int]]]) -> list[list[float]]:
    """One batch of (prompt ids, reply ids), padded on the left so that all replies end in the last place."""
    import torch

    tokens, mask = left_padded([prompt + reply for prompt, reply in encoded], variants)
    longest = max(len(reply) for _, reply in encoded)
    with variants.exclusive() as model, torch.inference_mode():
        logits = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
            logits_to_keep=longest + 1,  # a token is predicted one place before its own
            **variants.adapter_names([name] * len(encoded)),
        ).logits
        scores = []
        for row, (_, reply) in enumerate(encoded):
            predicted = torch.log_softmax(logits[row, -len(reply) - 1 : -1].float(), dim=-1)
            scores.append(predicted.gather(-1, tokens[row, -len(reply) :, None])[:, 0].tolist())
    return scores


def pmi(variants: ModelVariants, name: str, pairs: list[Pair]) -> list[float]:
    """Pointwise mutual information of each reply with its prompt, in nats per token.

    The mean over the reply's tokens, end token included, of log p(token | prompt, before) less
    log p(token | empty prompt, before): what the prompt adds to the reply (Li et al., 2016, who use it against dull
    replies). The empty prompt is `without_prompt`.
    """
    empty = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    unique = {_key(pair): pair for pair in empty}
    alone = dict(zip(unique, log_probs(variants, name, list(unique.values())), strict=True))
    given = log_probs(variants, name, pairs)
    return [(sum(scores) - sum(alone[_key(pair)])) / len(scores) for scores, pair in zip(given, empty, strict=True)]


def without_prompt(prompt: list[Message]) -> list[Message]:
    """The system message and an empty user message: a reply's setting with nothing to reply to.

    For a prompt of one turn, as the paper's are, this is the prompt with its last content empty.
    """
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, {"role": "user", "content": ""}]


def _key(pair: Pair) -> tuple[str, ...]:
    prompt, reply = pair
    return (*(message["content"] for message in prompt), reply)
