"""Fit of a realism head: a probe by logistic regression, and the blend of its log-probability with novel PMI.

`eval.judge.realism` has the formula; `training.finetune.realism` the pairs that it is fitted on.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eval.judge.realism import NUMBERS, RealismHead
from eval.qualify.card import MIN_BIAS_CONTROL, MIN_SHUFFLED
from eval.qualify.pairs import SAMPLES, ControlPair

if TYPE_CHECKING:
    from torch import Tensor

WHOLE_CONTROLS = ("shuffled", "same film", *SAMPLES.values())
"""Controls that every prompt has; of the spoiled replies each prompt has one."""
FILM_LINES = ("shuffled", "same film")
"""Controls whose worse reply is a film's line all the same."""
FOLDS = 4
"""Of the films, in the fit of the blend."""
RATIOS = [0.01 * 1.2**step for step in range(30)]
"""Of the weight of PMI to that of log P, of which the best is taken."""
HIDDEN_SHARE = 9.0
"""Of the variance that the probe sees: hidden states together, where each likelihood has 1; the penalty weighs less on
what varies more."""


@dataclass(frozen=True)
class PairFeatures:
    """What the fine-tuned model computed of both replies of each pair, the better one first."""

    pairs: list[ControlPair]
    features: Tensor
    """(pairs, 2, features)"""
    pmi: Tensor
    """Novel PMI in nats, (pairs, 2)."""

    def select(self, places: Sequence[int]) -> PairFeatures:
        """Some of the pairs."""
        return PairFeatures([self.pairs[place] for place in places], self.features[places], self.pmi[places])


def film_folds(films: Sequence[str], count: int, seed: int) -> list[list[int]]:
    """Places of each fold of the films, drawn by seed; no film is in two, and they are of one size, give or take one.

    Args:
        films: of each place.
        count: of folds.
        seed: of their drawing.
    """
    names = sorted(set(films))
    random.Random(seed).shuffle(names)
    fold_of = {name: place * count // len(names) for place, name in enumerate(names)}
    return [[place for place, film in enumerate(films) if fold_of[film] == fold] for fold in range(count)]


def fit_head(read: PairFeatures, l2: float) -> RealismHead:
    """Fits the probe, then the blend of its log-probability with novel PMI.

    The blend is fitted on what probes say of films that they were not fitted on (cross-fitting): of their own films
    they know the samples too well, and PMI would get too much weight.

    Args:
        read: pairs of all controls.
        l2: penalty of the probe's squared weights.
    """
    import torch

    film_gaps = torch.zeros(len(read.pairs))
    folds = [fold for fold in film_folds([pair.film for pair in read.pairs], FOLDS, seed=0) if fold]
    for fold in folds:
        others = [place for other in folds if other is not fold for place in other]
        probe = fit_probe(read.select(others or fold), l2)
        film_gaps[fold] = log_film(probe, read.features[fold, 0]) - log_film(probe, read.features[fold, 1])
    gaps = torch.stack([read.pmi[:, 0] - read.pmi[:, 1], film_gaps], 1)
    return replace(fit_probe(read, l2), blend=fit_blend(gaps, [pair.control for pair in read.pairs]))


def fit_probe(read: PairFeatures, l2: float) -> RealismHead:
    """Fits the probe: a film's line, or a sample or a spoiled one? The head's blend is not fitted yet.

    Args:
        read: pairs of all controls.
        l2: penalty of the probe's squared weights.
    """
    import torch

    better, worse = read.features.unbind(1)
    once = {(pair.prompt[-1]["content"], pair.better): place for place, pair in enumerate(read.pairs)}
    rows = torch.cat([better[list(once.values())], worse])
    film = torch.tensor([True] * len(once) + [pair.control in FILM_LINES for pair in read.pairs])
    mean, scale = rows.mean(0), rows.std(0).clamp(min=1e-3)
    scale[NUMBERS:] *= math.sqrt((rows.shape[1] - NUMBERS) / HIDDEN_SHARE)
    balance = len(film) / 2 / torch.where(film, film.sum(), (~film).sum())
    signs = torch.where(film, 1.0, -1.0)[:, None]
    standard = torch.cat([(rows - mean) / scale, torch.ones(len(rows), 1)], 1)
    penalty = torch.full((standard.shape[1],), l2)
    penalty[-1] = 0
    weights = logistic_weights(standard * signs, balance, penalty)
    return RealismHead(mean, scale, weights[:-1], weights[-1], torch.ones(2))


def fit_blend(gaps: Tensor, controls: Sequence[str]) -> Tensor:
    """Weights of PMI and of log P(film's line), (2,).

    Their ratio is the one under which the worst of the controls lies furthest above its floor: the likeliest one would
    give up PMI for the samples, which the probe knows so well. Their size makes differences of scores log-odds.

    Args:
        gaps: of PMI and of log P between the better and the worse reply, (pairs, 2).
        controls: of the pairs.
    """
    import torch

    places = {name: [place for place, control in enumerate(controls) if control == name] for name in set(controls)}

    def least(ratio: float) -> float:
        ahead = (gaps @ torch.tensor([ratio, 1.0]) > 0).float()
        return min(float(ahead[own].mean()) - floor_of(name) for name, own in places.items())

    ratio = max(RATIOS, key=least)
    kinds = Counter(map(kind_of, controls))
    shares = torch.tensor([len(controls) / len(kinds) / kinds[kind_of(control)] for control in controls])
    blend = torch.tensor([ratio, 1.0])
    return blend * logistic_weights((gaps @ blend)[:, None], shares, torch.zeros(1))


def floor_of(control: str) -> float:
    """What a judge must reach on a control to qualify, every whole control as `shuffled`."""
    return MIN_SHUFFLED if control in WHOLE_CONTROLS else MIN_BIAS_CONTROL


def kind_of(control: str) -> str:
    """The control, or `spoiled`: every kind weighs the same."""
    return control if control in WHOLE_CONTROLS else "spoiled"


def log_film(head: RealismHead, features: Tensor) -> Tensor:
    """Log-probability that a reply is a film's line, (replies,)."""
    import torch

    return torch.nn.functional.logsigmoid(head.film_logit(features))


def logistic_weights(rows: Tensor, weights: Tensor, penalty: Tensor) -> Tensor:
    """Minimizes the weighted mean of log(1 + exp(-row . w)) plus the penalties of w squared, by L-BFGS in float64.

    Args:
        rows: observations with the sign of their class, or differences of better and worse, (rows, features).
        weights: of the rows, (rows,).
        penalty: of each weight squared, (features,).
    """
    import torch

    rows, weights, penalty = rows.double(), weights.double(), penalty.double()
    found = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (weights * torch.nn.functional.softplus(-rows @ found)).mean() + (penalty * found**2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return found.detach().float()
