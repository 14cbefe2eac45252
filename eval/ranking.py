"""Many replies to one prompt, read with one prefill of the prompt: their log-likelihoods, and hidden states.

Ranking 20 replies to a line by `chat.likelihood.log_probs` reads the line 20 times. Here the replies stand behind one
copy of it in a single row, each at the positions it would have by itself, and see the prompt and themselves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chat.template import Message
from chat.variants import ModelVariants

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")
MAX_ROW_TOKENS = 512  # of one pass; attention cost grows with the square of the row


class ReadReply(NamedTuple):
    """What a model computed of one reply."""

    tokens: list[int]
    """Of the reply, its end the last."""
    predicted: Tensor
    """Log-probabilities at its places in nats, (tokens, vocabulary)."""
    hidden: tuple[Tensor, ...]
    """Hidden states of its tokens after the embedding and after each layer, (tokens, width); none unless asked for."""


def log_probs_of_many(
    variants: ModelVariants, name: str, prompt: list[Message], replies: Sequence[str]
) -> list[list[float]]:
    """Log-probabilities of each reply's tokens in nats, as `log_probs` gives them one by one, up to rounding."""
    form = variants.format_of(name)
    return [
        form.reply_log_probs(read.predicted, read.tokens) for read in read_replies(variants, name, [(prompt, replies)])
    ]


def read_replies(
    variants: ModelVariants, name: str, groups: Sequence[tuple[list[Message], Sequence[str]]], hidden: bool = False
) -> Iterator[ReadReply]:
    """Reads replies to prompts, in order.

    The replies to a prompt share a copy of it, and short groups share a row of the model: a token sees its own prompt
    and its own reply alone, by a block-diagonal attention mask (tree attention).

    Args:
        variants: the models.
        name: the variant that reads.
        groups: prompts, each with the replies to it.
        hidden: whether hidden states are wanted.
    """
    form = variants.format_of(name)
    encoded = ((form.encode_prompt(prompt), [form.encode_reply(reply) for reply in own]) for prompt, own in groups)
    segments = (
        Segment(head, part) for head, tails in encoded for part in _packed(tails, len, MAX_ROW_TOKENS - len(head))
    )
    for row in _packed(segments, lambda segment: segment.size, MAX_ROW_TOKENS):
        yield from _read_row(variants, name, row, hidden)


class Segment(NamedTuple):
    """Tokens of a prompt, and those of some of the replies to it."""

    head: list[int]
    tails: list[list[int]]

    @property
    def size(self) -> int:
        """In tokens."""
        return len(self.head) + sum(map(len, self.tails))


def _read_row(variants: ModelVariants, name: str, row: list[Segment], hidden: bool) -> Iterator[ReadReply]:
    """One pass of the model over some segments."""
    import torch

    ids: list[int] = []
    owners: list[tuple[int, int]] = []  # the segment, and in it 0 for the prompt, else the reply's number
    places: list[int] = []
    spans: list[tuple[list[int], slice]] = []  # of each reply: from where its tokens are predicted, where they are
    for number, (head, tails) in enumerate(row):
        ids += head
        owners += [(number, 0)] * len(head)
        places += range(len(head))
        last = len(ids) - 1
        for part, tail in enumerate(tails, 1):
            start = len(ids)
            spans.append(([last, *range(start, start + len(tail) - 1)], slice(start, start + len(tail))))
            ids += tail
            owners += [(number, part)] * len(tail)
            places += range(len(head), len(head) + len(tail))
    segment, part_of = torch.tensor(owners).T
    own = (segment[:, None] == segment) & ((part_of[:, None] == part_of) | (part_of == 0))
    with variants.exclusive() as model, torch.inference_mode():
        unseen = ~own.tril()
        mask = torch.zeros(unseen.shape, dtype=model.dtype).masked_fill(unseen, torch.finfo(model.dtype).min)
        output = model(
            input_ids=torch.tensor([ids], device=model.device),
            attention_mask=mask[None, None].to(model.device),
            position_ids=torch.tensor([places], device=model.device),
            use_cache=False,
            logits_to_keep=torch.tensor([place for by, _ in spans for place in by], device=model.device),
            output_hidden_states=hidden,
            **variants.adapter_names([name]),
        )
        predicted = torch.log_softmax(output.logits[0].float(), dim=-1)
    layers = [layer[0] for layer in output.hidden_states] if hidden else []
    start = 0
    for by, at in spans:
        yield ReadReply(ids[at], predicted[start : start + len(by)], tuple(layer[at] for layer in layers))
        start += len(by)


def _packed(items: Iterable[Item], size: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Runs of items in order, of at most a size together (a larger one goes by itself)."""
    run: list[Item] = []
    taken = 0
    for item in items:
        if run and taken + size(item) > most:
            yield run
            run, taken = [], 0
        run.append(item)
        taken += size(item)
    if run:
        yield run
