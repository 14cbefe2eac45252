"""What a variant thinks of a reply: log-probabilities per token, and pointwise mutual information with the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chat.generate import left_padded
from chat.template import Message
from chat.variants import ModelVariants

Pair = tuple[list[Message], str]  # a prompt and a reply to it
COPIED_RUN = 3
"""Tokens in a row that the prompt has too, from which on they are a copy: of single words and pairs most are chance."""


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


def pmi(variants: ModelVariants, name: str, pairs: list[Pair], mean: bool = False, novel: bool = False) -> list[float]:
    """Pointwise mutual information of each reply with its prompt, in nats: what the prompt adds to the reply.

    log p(reply | prompt) less log p(reply | empty prompt), end of the reply included (Fano, 1961; Li et al., 2016, who
    use it against dull replies). The empty prompt is `without_prompt`.

    Args:
        variants: the models.
        name: the variant that it is computed under.
        pairs: prompts with a reply each.
        mean: per token of the reply, which is no PMI but its mean; else summed.
        novel: novel PMI, over the tokens that are no copies of the prompt's (`copied_tokens`).
    """
    empty = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    unique = {_key(pair): pair for pair in empty}
    alone = dict(zip(unique, log_probs(variants, name, list(unique.values())), strict=True))
    form, gains = variants.format_of(name), []
    for given, (prompt, reply), key in zip(log_probs(variants, name, pairs), pairs, map(_key, empty), strict=True):
        skipped = copied_tokens(variants, name, prompt, form.encode_reply(reply)) if novel else [False] * len(given)
        gains.append(gain(given, alone[key], skipped) / (len(given) if mean else 1))
    return gains


def gain(given: Sequence[float], alone: Sequence[float], skipped: Sequence[bool]) -> float:
    """What the prompt adds to a reply in nats: the sum over its tokens, but those skipped, of what it adds to each.

    Args:
        given: log-probabilities of the reply's tokens given the prompt.
        alone: without it.
        skipped: of each token.
    """
    return sum(with_it - without for with_it, without, skip in zip(given, alone, skipped, strict=True) if not skip)


def copied_tokens(variants: ModelVariants, name: str, prompt: list[Message], reply: Sequence[int]) -> list[bool]:
    """Whether each token of a reply is copied: stands in a run of COPIED_RUN or more that a line of the prompt has.

    An echo has more PMI than any answer. Tokens are compared as text in lower case, without the spaces around them; one
    of spaces alone breaks no run.

    Args:
        variants: the models.
        name: the variant whose tokens they are.
        prompt: whose lines, the system message aside, are looked in.
        reply: its tokens, the end the last.
    """
    encode = variants.format_of(name).encode_reply
    lines = [encode(message["content"])[:-1] for message in prompt if message["role"] != "system"]
    known = {run for line in lines for run in _runs(list(_texts(variants.tokenizer, line).values()))}
    texts = _texts(variants.tokenizer, reply)
    places = list(texts)
    runs = enumerate(_runs(list(texts.values())))
    found = {place for start, run in runs if run in known for place in places[start : start + COPIED_RUN]}
    return [place in found for place in range(len(reply))]


def _runs(texts: list[str]) -> list[tuple[str, ...]]:
    """Every COPIED_RUN texts in a row."""
    return list(zip(*(texts[start:] for start in range(COPIED_RUN)), strict=False))


def _texts(tokenizer: Any, tokens: Sequence[int]) -> dict[int, str]:
    """Text of each token that is more than spaces, by its place."""
    texts = (text.strip().lower() for text in tokenizer.batch_decode([[token] for token in tokens]))
    return {place: text for place, text in enumerate(texts) if text}


def without_prompt(prompt: list[Message]) -> list[Message]:
    """The system message and an empty user message: a reply's setting with nothing to reply to.

    For a prompt of one turn, as the paper's are, this is the prompt with its last content empty.
    """
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, {"role": "user", "content": ""}]


def _key(pair: Pair) -> tuple[str, ...]:
    prompt, reply = pair
    return (*(message["content"] for message in prompt), reply)
