"""Embedded judges: a model of this machine scores each reply by itself, and two scores make a preference.

Their names are `eval.judge.names`; the evaluation, the preferences and `eval.qualify` open them here alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chat.likelihood import Pair, log_probs, pmi
from chat.template import Message
from chat.variants import ModelRef, ModelVariants, load_variants
from eval.judge.adapters import adapter_base, dpo_beta
from eval.judge.comparison import Comparison, sigmoid
from eval.judge.names import REALISM_FORMS, EmbeddedName
from hub.errors import UserError

Score = Callable[[list[Pair]], list[float]]
"""Scoring function: prompts with a reply each to one number each, higher is better."""


class EmbeddedJudge:
    """Pointwise judge: P(first is better) = sigmoid(score(first) - score(second)), as Bradley and Terry (1952) have it.

    It reads each reply by itself, so that the order in which two are shown cannot matter; no reply is scored twice.

    Args:
        name: as cards show it.
        score: the scoring function.
        own: the variant whose likelihood the score is made of; None where it is of none.
    """

    def __init__(self, name: str, score: Score, own: str | None = None) -> None:
        self.name, self.own = name, own
        self._score = score
        self._known: dict[tuple[tuple[str, ...], str], float] = {}

    def score(self, pairs: list[Pair]) -> list[float]:
        """The score of each reply to its prompt."""
        wanted = {_key(prompt, reply): (prompt, reply) for prompt, reply in pairs}
        new = {key: pair for key, pair in wanted.items() if key not in self._known}
        if new:
            self._known |= dict(zip(new, self._score(list(new.values())), strict=True))
        return [self._known[_key(prompt, reply)] for prompt, reply in pairs]

    def compare(self, items: list[Comparison]) -> list[float]:
        """The probability that the reply shown first is better, by item."""
        scores = self.score([(prompt, reply) for prompt, *replies in items for reply in replies])
        return [sigmoid(first - second) for first, second in zip(scores[::2], scores[1::2], strict=True)]


def open_embedded(name: str, variants: ModelVariants | None = None, revision: str | None = None) -> EmbeddedJudge:
    """Opens an embedded judge.

    Args:
        name: of the registry.
        variants: the models that PMI judges by; a realism judge takes them where they are its own.
        revision: commit of the judge's own model, where it has one.

    Raises:
        UserError: there is no such judge, or the variant that it judges by is not loaded.
    """
    parsed = EmbeddedName.parse(name)
    form, mean = parsed.form.removeprefix("mean-"), parsed.form.startswith("mean-")
    per_token = "mean " if mean else ""
    if parsed.repo is None:
        if variants is None or parsed.of not in variants.names:
            have = ", ".join(variants.names) if variants else "none"
            raise UserError(f"the judge {name} needs the variant {parsed.of}; loaded: {have}")
        title = {"base": "base", "sft": "SFT", "dpo": "DPO"}.get(parsed.of, parsed.of)
        novel = form == "novel-pmi"
        score = partial(pmi, variants, parsed.of, mean=mean, novel=novel)
        kind = f"{per_token}{'novel ' if novel else ''}PMI"
        return EmbeddedJudge(f"{kind} under the {title} model", score, parsed.of)
    model = ModelRef(parsed.repo, revision)
    if form in REALISM_FORMS:
        from eval.judge.realism import HEADS, realism_score

        head = HEADS[REALISM_FORMS.index(form)]
        return EmbeddedJudge(f"realism of {parsed.repo}, head `{head}`", realism_score(model, head, variants))
    if form == "reward":
        from eval.judge.reward_model import RewardModel

        return EmbeddedJudge(f"reward model {parsed.repo}", RewardModel(model).score)
    tuned = load_variants(adapter_base(model), {"tuned": model})
    return EmbeddedJudge(f"{per_token}implicit reward of {parsed.repo}", implicit_score(tuned, dpo_beta(model), mean))


def implicit_score(tuned: ModelVariants, beta: float, mean: bool = False) -> Score:
    """Implicit reward: beta * (log p_tuned(reply | prompt) - log p_base(reply | prompt)) (Rafailov et al., 2023).

    Args:
        tuned: the variants `base` and `tuned`.
        beta: DPO's.
        mean: per token of the reply, end token included.
    """

    def score(pairs: list[Pair]) -> list[float]:
        both = zip(log_probs(tuned, "tuned", pairs), log_probs(tuned, "base", pairs), strict=True)
        return [beta * (sum(own) - sum(base)) / (len(own) if mean else 1) for own, base in both]

    return score


def _key(prompt: list[Message], reply: str) -> tuple[tuple[str, ...], str]:
    return tuple(text for message in prompt for text in (message["role"], message["content"])), reply
