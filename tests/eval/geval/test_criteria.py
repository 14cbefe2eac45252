"""Criteria and their scales."""

import pytest

from eval.geval.criteria import CRITERIA, Scale, parse_criteria
from hub.errors import UserError


def test_the_shipped_criteria_have_scales():
    assert {name: criterion.scale for name, criterion in CRITERIA.items()} == dict.fromkeys(
        ("coherence", "consistency", "fluency", "relevance"), Scale(1, 5)
    )


def test_a_scale_is_read_and_says_what_is_asked_for():
    made = parse_criteria({"fit": {"definition": "It fits.", "scale": [0, 1]}, "plain": {"definition": "x"}})
    assert made["fit"].scale.labels == ["0", "1"]
    assert made["fit"].scale.form == "one digit"
    assert made["plain"].scale == Scale(1, 5)
    ten = Scale(1, 10)
    assert (ten.long_labels, ten.form, str(ten)) == (["10"], "one whole number", "1 to 10")


@pytest.mark.parametrize("scale", [[5, 1], [0, 0], [-1, 1], [0.0, 1.0], [1], "1-5", None])
def test_an_impossible_scale_is_one_line(scale):
    with pytest.raises(UserError, match=r"the scale of fit is .*; give two whole numbers"):
        parse_criteria({"fit": {"definition": "x", "scale": scale}})
