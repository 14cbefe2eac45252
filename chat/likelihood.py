"""What a variant thinks of a reply: log-probabilities per token, and pointwise mutual information with the prompt."""

from __future__ import annotations

from chat.generate import left_padded
from chat.template import Message
from chat.variants import ModelVariants

Pair = tuple[list[Message], str]  # a prompt and a reply to it


def log_probs(variants: ModelVariants, name: str, pairs: list[Pair], batch_size: int = 32) -> list[list[float]]:
    """Returns log p(token | prompt, tokens before) in nats for every token of each reply, and last for its end.

    In the variant's reply format, whose end is `<|im_end|>` or a line break. Computed in float32 and in batches of like
    length; logits are made for the reply's places only.
    """
    form = variants.format_of(name)
    encoded = [(form.encode_prompt(prompt), form.encode_reply(reply)) for prompt, reply in pairs]
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
            scores.append(variants.format_of(name).reply_log_probs(predicted, reply))
    return scores


def pmi(variants: ModelVariants, name: str, pairs: list[Pair], mean: bool = False) -> list[float]:
    """Pointwise mutual information of each reply with its prompt, in nats: what the prompt adds to the reply.

    log p(reply | prompt) less log p(reply | empty prompt), end of the reply included (Fano, 1961; Li et al., 2016, who
    use it against dull replies). The empty prompt is `without_prompt`.

    Args:
        variants: the models.
        name: the variant that it is computed under.
        pairs: prompts with a reply each.
        mean: per token of the reply, which is no PMI but its mean; else summed.
    """
    empty = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    unique = {_key(pair): pair for pair in empty}
    alone = dict(zip(unique, log_probs(variants, name, list(unique.values())), strict=True))
    given = log_probs(variants, name, pairs)
    gains = [sum(scores) - sum(alone[_key(pair)]) for scores, pair in zip(given, empty, strict=True)]
    return [gain / len(scores) for gain, scores in zip(gains, given, strict=True)] if mean else gains


def without_prompt(prompt: list[Message]) -> list[Message]:
    """The system message and an empty user message: a reply's setting with nothing to reply to.

    For a prompt of one turn, as the paper's are, this is the prompt with its last content empty.
    """
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, {"role": "user", "content": ""}]


def _key(pair: Pair) -> tuple[str, ...]:
    prompt, reply = pair
    return (*(message["content"] for message in prompt), reply)
