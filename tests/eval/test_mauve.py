"""MAUVE: two halves of one set are alike, two sets are not; without its package it says so."""

import sys

import numpy as np
import pytest

from eval import mauve
from hub.errors import UserError


def test_without_its_package_it_is_one_line(monkeypatch, variants):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install mauve-text"):
        mauve.mauve_of_variants(variants, {"sft": ["a"]}, ["b"])


def test_a_text_stands_where_it_stands_alone(variants):
    texts = ["Where were you?", "", "At the pier, all night, with her.", "No."]
    together = mauve.last_states(variants, texts)
    assert together.shape == (4, variants.model.config.hidden_size)
    for place, text in enumerate(texts):
        assert mauve.last_states(variants, [text])[0] == pytest.approx(together[place], abs=1e-3)


def test_alike_is_near_one_and_unlike_near_nought():
    pytest.importorskip("mauve", reason="pip install mauve-text==0.4.0")
    chance = np.random.default_rng(1)
    films, alike = chance.normal(0, 1, (2, 400, 8)).astype(np.float32)
    unlike = chance.normal(6, 1, (400, 8)).astype(np.float32)
    near, far = mauve.mauve_estimate(alike, films), mauve.mauve_estimate(unlike, films)
    assert near.low > far.high
    assert near.value > 0.9
    assert far.value < 0.1
    assert "mauve" in sys.modules
