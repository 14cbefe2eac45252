"""Evidence: preferences, scores, and which comparisons are controlled."""

import math

from eval.report.evidence import preference_values, score_values
from eval.rows import Response
from tests.support.answered import response_row


def test_preferences_count_both_orders_and_ties_as_half():
    def values(orders, sft="x", dpo="y"):
        row = response_row(["L0"], ["?"], {"sft": sft, "dpo": dpo}) | {"first_better": orders}
        return preference_values([Response.from_row(row)], "sft", "dpo")

    assert values({"sft over dpo": [0.9, 0.2]}) == [1.0]
    assert values({"sft over dpo": [0.9, 0.2]}, dpo="x") == [0.5]
    assert values({"sft over dpo": [0.4, 0.6]}) == [0.5]
    assert math.isnan(values({})[0])


def test_scores_that_one_variant_lacks_are_missing():
    found = score_values(2, {(0, "dpo"): 4.0, (0, "sft"): 3.0, (1, "dpo"): 4.0}, "dpo", "sft")
    assert found[0] == 1.0
    assert math.isnan(found[1])
