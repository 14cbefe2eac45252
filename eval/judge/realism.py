"""Realism: does a reply follow from the line, and could it stand in a film?

    score(prompt, reply) = pmi_weight * novel PMI + film_weight * log P(film's line)
    P(film's line) = sigmoid(weights . (features - mean) / scale + bias)

Novel PMI (`chat.likelihood.pmi`) is the reader's, summed over what the reply does not copy from the line: it tells a
reply from one to another line, and PMI as it is takes an echo for the best of all. P is read by a linear probe (Alain
and Bengio, 2017) from what the same frozen reader computes of the reply: likelihoods and hidden states. It tells films'
lines, to this line or any other, from samples of base and fine-tuned model and from spoiled lines. A sum of logarithms
lets neither make up for the other; RUBER (Tao et al., 2018) blends a score of the reply with one of how it follows, and
SPIN (Chen et al., 2024) has sampled negatives.

The reader is the fine-tuned model, or a base of another family that reads plain lines: a model's likelihood favours
that model's own words.

`training.realism` fits two heads on two halves of the films: `labels` for preferences, `evaluates` for what is made of
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chat.likelihood import Pair, copied_tokens, gain, without_prompt
from chat.template import Message
from chat.variants import ModelRef, ModelVariants, load_variants, merged
from eval.base_format import base_in
from eval.ranking import ReadReply, read_replies
from hub.errors import UserError
from hub.lineage import Input, fetch_lineage

if TYPE_CHECKING:
    from torch import Tensor

HEADS = ("labels", "evaluates")
HEADS_FILE = "realism.safetensors"
PMI_KIND = "novel"
"""What stands in a judge's lineage as `pmi`; judges of before had heads on plain PMI, which echoes have most of."""
DEPTHS = (0.73, 1.0)
"""Layers whose hidden states are read, as shares of all."""
NUMBERS = 8
"""Features before the hidden states: those of `likelihood_numbers`."""


@dataclass(frozen=True)
class RealismHead:
    """Head over the features of `features_of` and novel PMI."""

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
        """Scores, (replies,), of features (replies, features) and novel PMI in nats (replies,)."""
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
        ref: its repository, whose lineage names its reader.
        head: one of HEADS.
        variants: models that are loaded already, taken where they are the same.

    Raises:
        UserError: it is no realism judge, or one of an earlier version.
    """
    from huggingface_hub import hf_hub_download

    found = fetch_lineage(ref.repo, "model", ref.revision)
    if not found or found[1].stage != "realism":
        raise UserError(f"{ref.repo} is no realism judge; `python -m training.realism` makes one")
    if found[1].settings.get("pmi") != PMI_KIND:
        raise UserError(
            f"{ref.repo} was fitted on plain PMI, by an earlier version; `python -m training.realism` fits it anew"
        )
    heads = hf_hub_download(ref.repo, HEADS_FILE, revision=ref.revision)
    return RealismScore(load_reader(found[1].inputs, variants), load_head(heads, head))


def load_reader(inputs: Sequence[Input], variants: ModelVariants | None = None) -> ModelVariants:
    """The model that a realism judge reads by, alone.

    Args:
        inputs: of the judge's lineage: base, SFT adapter, dialogue dataset, and the reader where it is another model.
        variants: models that are loaded already, taken where they are the base and the adapter.
    """
    base, sft, _, *others = (ModelRef(source.repo, source.revision) for source in inputs)
    if others:
        return base_in(load_variants(others[0]), "plain")
    known = variants.revisions if variants else {}
    if variants is None or (known.get("base"), known.get("sft")) != (base.revision, sft.revision):
        variants = load_variants(base, {"sft": sft})
    return merged(variants, "sft")


class RealismScore:
    """Scoring function: a head over what a reader computes.

    Args:
        reader: from `load_reader`.
        head: of a realism judge.
    """

    def __init__(self, reader: ModelVariants, head: RealismHead) -> None:
        self.reader, self.head = reader, head

    def __call__(self, pairs: list[Pair]) -> list[float]:
        """The score of each reply to its prompt."""
        scores: list[float] = self.head.score(*read_features(self.reader, pairs)).tolist()
        return scores


def read_features(reader: ModelVariants, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Features, (replies, features), and novel PMI in nats, (replies,), in float32.

    Replies to one prompt are read together.

    Args:
        reader: holds one variant.
        pairs: prompts with a reply each.
    """
    import torch
    from tqdm import tqdm

    (name,) = reader.names
    given = dict(tqdm(read_each(reader, pairs, features=True), desc="reading replies", disable=None))
    without = [(without_prompt(prompt), reply) for prompt, reply in pairs]
    alone = dict(tqdm(read_each(reader, without, features=False), desc="without the prompt", disable=None))
    novel = [
        gain(given[place].log_probs, alone[place].log_probs, copied_tokens(reader, name, prompt, given[place].tokens))
        for place, (prompt, _) in enumerate(pairs)
    ]
    rows = [features for place in range(len(pairs)) if (features := given[place].features) is not None]
    return torch.stack(rows), torch.tensor(novel)


class KnownReply(NamedTuple):
    """What the judge keeps of what its reader computed of one reply."""

    tokens: list[int]
    """Its end the last."""
    log_probs: list[float]
    """Of the tokens, in nats."""
    features: Tensor | None
    """(features,), where they were asked for."""


def read_each(reader: ModelVariants, pairs: Sequence[Pair], features: bool) -> Iterator[tuple[int, KnownReply]]:
    """Reads the reply of each pair, a text to a prompt once; with its place among the pairs.

    Args:
        reader: holds one variant.
        pairs: prompts with a reply each.
        features: whether features are wanted, for which hidden states are read.
    """
    (name,) = reader.names
    form = reader.format_of(name)
    groups: dict[tuple[str, ...], tuple[list[Message], dict[str, list[int]]]] = {}
    for place, (prompt, reply) in enumerate(pairs):
        _, replies = groups.setdefault(tuple(message["content"] for message in prompt), (prompt, {}))
        replies.setdefault(reply, []).append(place)
    read = read_replies(reader, name, [(prompt, list(replies)) for prompt, replies in groups.values()], features)
    for places in (own for _, replies in groups.values() for own in replies.values()):
        one = next(read)
        log_probs = form.reply_log_probs(one.predicted, one.tokens)
        found = KnownReply(one.tokens, log_probs, features_of(one, log_probs) if features else None)
        yield from ((place, found) for place in places)


def features_of(read: ReadReply, log_probs: list[float]) -> Tensor:
    """Features of one reply: likelihoods, then hidden states at DEPTHS, their mean and at the reply's end."""
    import torch

    parts = [likelihood_numbers(read, log_probs)]
    for depth in DEPTHS:
        layer = read.hidden[round(depth * (len(read.hidden) - 1))]
        parts += [layer.mean(0), layer[-1]]
    return torch.cat([part.float().cpu() for part in parts])


def likelihood_numbers(read: ReadReply, log_probs: list[float]) -> Tensor:
    """Likelihoods of a reply as features, (NUMBERS,).

    Of its log-probabilities the sum, the mean, the least and the end's; mean entropy, log length; the squares of the
    mean and of the log length.
    """
    import torch

    scores = torch.tensor(log_probs)
    length = torch.tensor(float(len(read.tokens))).log()
    entropy = -(read.predicted.exp() * read.predicted).sum(-1).mean().cpu()
    mean = scores.mean()
    return torch.stack([scores.sum(), mean, scores.min(), scores[-1], entropy, length, mean**2, length**2])
