"""Evidence: length-controlled differences, and preferences."""

import math

import numpy as np
import pytest

from eval.report.evidence import at_equal_length, preference_values
from eval.rows import Response
from tests.support.answered import response_row


def test_at_equal_length_a_difference_that_is_length_alone_is_gone():
    chance = np.random.default_rng(4)
    longer = chance.normal(0.5, 0.4, 600)
    films = [str(n // 6) for n in range(600)]
    alone = at_equal_length((0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert alone.low < 0 < alone.high
    true = at_equal_length((0.3 + 0.8 * longer + chance.normal(0, 0.3, 600)).tolist(), longer.tolist(), films)
    assert true.low < 0.3 < true.high
    assert true.low > 0


def test_at_equal_length_is_the_intercept_of_a_least_squares_line():
    x, y = [0.1, 0.5, -0.3, 0.9, 0.2], [1.0, 2.0, 0.5, 2.2, 1.4]
    assert at_equal_length(y, x, list("abcde")).value == pytest.approx(np.polyfit(x, y, 1)[1])
    assert at_equal_length([1.0, 3.0], [0.2, 0.2], ["a", "b"]).value == 2.0  # nothing to tell length from


def test_preferences_count_both_orders_and_ties_as_half():
    def values(orders, sft="x", dpo="y"):
        row = response_row(["L0"], ["?"], {"sft": sft, "dpo": dpo}) | {"first_better": orders}
        return preference_values([Response.from_row(row)], "sft", "dpo")

    assert values({"sft over dpo": [0.9, 0.2]}).first == [1.0]
    assert values({"sft over dpo": [0.9, 0.2]}, dpo="x").first == [0.5]
    assert values({"sft over dpo": [0.4, 0.6]}) == ([0.5], [0.5], None)
    assert math.isnan(values({}).first[0])
