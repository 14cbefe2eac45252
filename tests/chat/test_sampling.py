"""One dataclass of sampling settings, and what it refuses."""

import math

import pytest

from chat.sampling import Sampling


def test_defaults_are_the_contract():
    expected = {"do_sample": True, "temperature": 0.9, "top_k": 25, "top_p": 0.95, "max_new_tokens": 64}
    assert Sampling().to_generate_kwargs() == expected


def test_temperature_zero_is_greedy():
    assert Sampling(temperature=0, max_new_tokens=8).to_generate_kwargs() == {"do_sample": False, "max_new_tokens": 8}


def test_a_slider_s_float_becomes_a_whole_number():
    assert type(Sampling(top_k=5.0).to_generate_kwargs()["top_k"]) is int


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", value) for value in (-0.1, 0.001, 5.1, math.nan, math.inf)),
        *(("top_k", value) for value in (-1, 3.7, 1001, math.nan, math.inf)),
        *(("top_p", value) for value in (0, 1.1, math.nan)),
        *(("max_new_tokens", value) for value in (0, 65, 1.5, math.nan)),
    ],
)
def test_impossible_values_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Sampling(**{name: value})
