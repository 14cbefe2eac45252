"""Style of replies, by hand."""

import pytest

from stats.style import Style, relative_difference, style_of, tokenize_words


def test_words():
    assert tokenize_words("Don't! I\u2019m OK...") == ["don't", "!", "i\u2019m", "ok", ".", ".", "."]


def test_style_of_a_reply():
    assert style_of("Anna is here!", ["Where is Anna?"]) == pytest.approx((3, 2 / 3, 1 / 3))
    assert style_of("...", ["Where?"]) == (0, 0, 3)
    assert style_of("", []) == (0, 0, 0)


def test_a_difference_of_lengths_is_relative():
    assert relative_difference(Style(9, 0.5, 0.2), Style(3, 0.25, 0.2)) == pytest.approx((0.5, 0.25, 0))
    assert relative_difference(Style(0, 0, 0), Style(0, 0, 1)) == (0, 0, -1)
