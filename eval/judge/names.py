"""Names of embedded judges, the one registry that recipes, the evaluation and `eval.qualify` share.

`pmi` is summed PMI under the base, `pmi:sft` under another variant, `mean-pmi` the same per token, `novel-pmi` summed
over what a reply does not copy from the prompt (`chat.likelihood`); `implicit:HUB_ID` is the implicit reward of an
adapter over its base, summed over tokens, `mean-implicit:HUB_ID` per token; `reward:HUB_ID` is the score head of a
reward model (`eval.judge.reward_model`); `realism:HUB_ID` is the head of a realism judge that labels,
`realism-held-out:HUB_ID` its other head, fitted on other films (`eval.judge.realism`). `realism` and
`realism-held-out` alone are the realism judge of the namespace itself (`full_name`).
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import UserError
from hub.names import Names

LIKELIHOOD_FORMS = ("pmi", "mean-pmi", "novel-pmi")
REALISM_FORMS = ("realism", "realism-held-out")
MODEL_FORMS = ("implicit", "mean-implicit", "reward", *REALISM_FORMS)
EMBEDDED_NAMES = (
    "pmi, mean-pmi, novel-pmi (under base, or :sft), implicit:HUB_ID, mean-implicit:HUB_ID, reward:HUB_ID, "
    "realism, realism-held-out (the namespace's own, or :HUB_ID)"
)


@dataclass(frozen=True)
class EmbeddedName:
    """Name of an embedded judge, read."""

    form: str
    of: str
    """A variant, or the Hub id of the judge's own model."""

    @classmethod
    def parse(cls, text: str) -> EmbeddedName:
        """Reads a name of the registry.

        Raises:
            UserError: there is no such judge.
        """
        form, _, of = text.partition(":")
        if form in LIKELIHOOD_FORMS and (of or text == form):
            return cls(form, of or "base")
        if form in MODEL_FORMS and of:
            return cls(form, of)
        raise UserError(f"no judge is called {text}; there is {EMBEDDED_NAMES}")

    @property
    def repo(self) -> str | None:
        """Hub id of the judge's own model; None where it judges by a variant that the caller has."""
        return self.of if self.form in MODEL_FORMS else None


def full_name(text: str, names: Names) -> str:
    """Name of an embedded judge with its Hub id, where it has one: `realism` alone is the namespace's own."""
    return f"{text}:{names.adapter('realism')}" if text in REALISM_FORMS else text


def is_embedded(text: str) -> bool:
    """Whether a text names an embedded judge, the namespace's own realism judge among them."""
    try:
        EmbeddedName.parse(full_name(text, Names("own", "own")))
    except UserError:
        return False
    return True
