"""Names of embedded judges."""

import pytest

from eval.judge.names import EmbeddedName, full_name, is_embedded
from hub.errors import UserError
from hub.names import Names


@pytest.mark.parametrize(
    ("text", "form", "of", "repo"),
    [
        ("pmi", "pmi", "base", None),
        ("pmi:sft", "pmi", "sft", None),
        ("mean-pmi:base", "mean-pmi", "base", None),
        ("novel-pmi:sft", "novel-pmi", "sft", None),
        ("implicit:me/adapter", "implicit", "me/adapter", "me/adapter"),
        ("reward:me/reward", "reward", "me/reward", "me/reward"),
    ],
)
def test_names_are_read(text, form, of, repo):
    parsed = EmbeddedName.parse(text)
    assert (parsed.form, parsed.of, parsed.repo) == (form, of, repo)


@pytest.mark.parametrize("text", ["", "pmi:", "pmy", "implicit", "reward:", "judge", "llm"])
def test_others_are_one_line(text):
    assert not is_embedded(text)
    with pytest.raises(UserError, match=r"no judge is called .*; there is pmi, mean-pmi"):
        EmbeddedName.parse(text)


@pytest.mark.parametrize("form", ["realism", "realism-held-out"])
def test_a_realism_judge_without_hub_id_is_the_namespaces_own(form):
    assert is_embedded(form)
    parsed = EmbeddedName.parse(full_name(form, Names("me", "starter")))
    assert (parsed.form, parsed.repo) == (form, "me/repartee-starter-realism")
    assert full_name(f"{form}:you/theirs", Names("me", "starter")) == f"{form}:you/theirs"
    assert full_name("pmi", Names("me", "starter")) == "pmi"
