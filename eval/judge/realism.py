"""Realism: does a reply follow from the line, and could it stand in a film?

    score(prompt, reply) = pmi_weight * PMI + film_weight * log P(film's line)
    P(film's line) = sigmoid(weights . (features - mean) / scale + bias)

PMI (`chat.likelihood.pmi`) is the fine-tuned model's, summed; it tells a reply from one to another line, and takes an
echo for the best of all. P is read by a linear probe (Alain and Bengio, 2017) from what the same frozen model computes
of the reply: likelihoods and hidden states. It tells films' lines, to this line or any other, from the model's own
samples and from spoiled lines. A sum of logarithms lets neither make up for the other; RUBER (Tao et al., 2018) blends
a score of the reply with one of how it follows, and SPIN (Chen et al., 2024) has sampled negatives.

`training.realism` fits two heads on two halves of the films: `labels` for preferences, `evaluates` for what is made of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from chat.likelihood import Pair, without_prompt
from chat.reply_format import token_log_probs
from chat.template import Message
from chat.variants import ModelRef, ModelVariants, load_variants, merged
from eval.ranking import ReadReply, read_replies
from hub.errors import UserError
from hub.lineage import fetch_lineage

if TYPE_CHECKING:
    from torch import Tensor

Found = TypeVar("Found")
HEADS = ("labels", "evaluates")
HEADS_FILE = "realism.safetensors"
DEPTHS = (0.73, 1.0)
"""Layers whose hidden states are read, as shares of all."""
NUMBERS = 8
"""Features before the hidden states: those of `likelihood_numbers`."""


@dataclass(frozen=True)
class RealismHead:
    """Head over the features of `features_of` and PMI."""

    mean: Tensor
    """(features,)"""
    scale: Tensor
    """(features,)"""
    weights: Tensor
    """(features,)"""
    bias: Tensor
    """One number."""
    blend: Tensor
    """pmi_weight and film_weight: of pairs of replies, the difference of scores is the log-odds of the better one."""

    def film_logit(self, features: Tensor) -> Tensor:
        """Log-odds that a reply is a film's line, (replies,), of features (replies, features)."""
        return ((features - self.mean) / self.scale) @ self.weights + self.bias

    def score(self, features: Tensor, pmi: Tensor) -> Tensor:
        """Scores, (replies,), of features (replies, features) and PMI in nats (replies,)."""
        import torch

        return self.blend[0] * pmi + self.blend[1] * torch.nn.functional.logsigmoid(self.film_logit(features))


def save_heads(heads: Mapping[str, RealismHead], path: Path) -> None:
    """Writes heads into one file, by name."""
    from safetensors.torch import save_file

    save_file({f"{name}.{part}": value for name, head in heads.items() for part, value in vars(head).items()}, path)


def load_head(path: str | Path, name: str) -> RealismHead:
    """Reads one head of a file."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    return RealismHead(*(tensors[f"{name}.{part}"] for part in ("mean", "scale", "weights", "bias", "blend")))


def realism_score(ref: ModelRef, head: str, variants: ModelVariants | None = None) -> RealismScore:
    """Scoring function of a published realism judge.

    Args:
        ref: its repository; the first inputs of its lineage are the base and the fine-tuned model that it reads by.
        head: one of HEADS.
        variants: models that are loaded already, taken where they are the same.

    Raises:
        UserError: it is no realism judge.
    """
    from huggingface_hub import hf_hub_download

    found = fetch_lineage(ref.repo, "model", ref.revision)
    if not found or found[1].stage != "realism":
        raise UserError(f"{ref.repo} is no realism judge; `python -m training.realism` makes one")
    base, sft = (ModelRef(source.repo, source.revision) for source in found[1].inputs[:2])
    known = variants.revisions if variants else {}
    if variants is None or (known.get("base"), known.get("sft")) != (base.revision, sft.revision):
        variants = load_variants(base, {"sft": sft})
    return RealismScore(variants, load_head(hf_hub_download(ref.repo, HEADS_FILE, revision=ref.revision), head))


class RealismScore:
    """Scoring function: a head over what the fine-tuned model computes.

    Args:
        variants: `sft` among them; its adapter is merged into a copy of the weights.
        head: of a realism judge.
    """

    def __init__(self, variants: ModelVariants, head: RealismHead) -> None:
        self.model, self.head = merged(variants, "sft"), head

    def __call__(self, pairs: list[Pair]) -> list[float]:
        """The score of each reply to its prompt."""
        scores: list[float] = self.head.score(*read_features(self.model, pairs)).tolist()
        return scores


def read_features(model: ModelVariants, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Features, (replies, features), and PMI in nats, (replies,), in float32; replies to one prompt are read together.

    Args:
        model: holds `sft`.
        pairs: prompts with a reply each.
    """
    import torch
    from tqdm import tqdm

    features = dict(tqdm(read_each(model, pairs, features_of, hidden=True), desc="reading replies", disable=None))
    rows = torch.stack([features[place] for place in range(len(pairs))])
    without = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    alone = dict(tqdm(read_each(model, without, summed_log_prob), desc="without the prompt", disable=None))
    # the first feature is the summed log-probability given the prompt
    return rows, rows[:, 0] - torch.tensor([alone[place] for place in range(len(pairs))])


def read_each(
    model: ModelVariants, pairs: Sequence[Pair], measure: Callable[[ReadReply], Found], hidden: bool = False
) -> Iterator[tuple[int, Found]]:
    """Measures the reply of each pair, a text to a prompt once; with its place among the pairs."""
    groups: dict[tuple[str, ...], tuple[list[Message], dict[str, list[int]]]] = {}
    for place, (prompt, reply) in enumerate(pairs):
        _, replies = groups.setdefault(tuple(message["content"] for message in prompt), (prompt, {}))
        replies.setdefault(reply, []).append(place)
    read = read_replies(model, "sft", [(prompt, list(replies)) for prompt, replies in groups.values()], hidden)
    for places in (own for _, replies in groups.values() for own in replies.values()):
        one = measure(next(read))
        yield from ((place, one) for place in places)


def summed_log_prob(read: ReadReply) -> float:
    """Log-probability of a reply in nats, its end included."""
    return sum(token_log_probs(read.predicted, read.tokens))


def features_of(read: ReadReply) -> Tensor:
    """Features of one reply: likelihoods, then hidden states at DEPTHS, their mean and at the reply's end."""
    import torch

    parts = [likelihood_numbers(read)]
    for depth in DEPTHS:
        layer = read.hidden[round(depth * (len(read.hidden) - 1))]
        parts += [layer.mean(0), layer[-1]]
    return torch.cat([part.float().cpu() for part in parts])


def likelihood_numbers(read: ReadReply) -> Tensor:
    """Likelihoods of a reply as features, (NUMBERS,).

    Of its log-probabilities the sum, the mean, the least and the end's; mean entropy, log length; the squares of the
    mean and of the log length.
    """
    import torch

    scores = torch.tensor(token_log_probs(read.predicted, read.tokens))
    length = torch.tensor(float(len(read.tokens))).log()
    entropy = -(read.predicted.exp() * read.predicted).sum(-1).mean().cpu()
    mean = scores.mean()
    return torch.stack([scores.sum(), mean, scores.min(), scores[-1], entropy, length, mean**2, length**2])
