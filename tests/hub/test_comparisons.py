"""Comparisons of an evaluation: one list, one correction, one verdict."""

from hub.comparisons import comparisons

ONE = {"value": 0.1, "low": 0.02, "high": 0.2, "p_value": 0.02, "clusters": 60}
LESS = {"value": -0.1, "low": -0.2, "high": -0.01, "p_value": 0.001, "clusters": 60}
FEW = {"value": 0.4, "low": None, "high": None, "p_value": None, "clusters": 3, "unit": "prompts"}
RESULTS = {
    "candidates": 20,
    "judge": "j",
    "paired": {"sft - base": {"hits_pmi": ONE, "nats_per_byte": LESS, "geval": ONE}},
    "preferred": {"sft over base": {"rate": {**ONE, "value": 0.4, "p_value": 0.01}, "ties": 0.0}},
    "judges": [{"judge": "gpt"}],
    "people": {"raters": {"pairs": {"sft - base": FEW}}},
}


def test_the_correction_is_over_everything_that_is_shown():
    found = {one.title: one for one in comparisons(RESULTS)}
    assert {title: one.p_value for title, one in found.items()} == {
        "Hits@1/20 by PMI": 0.04,
        "loss on the films' replies": 0.004,
        "G-Eval by gpt": 0.04,
        "preferred by j": 0.03,
        "chosen by raters": None,
    }
    assert found["loss on the films' replies"].verdict == "better"  # less loss
    assert found["preferred by j"].verdict == "worse"  # 40% is less than half
    assert found["chosen by raters"].verdict == "3 prompts: too few"
    assert found["chosen by raters"].interval() == "+40.0 points"
    many = RESULTS | {"paired": {f"sft - {name}": {"hits_pmi": ONE} for name in "abcde"}}
    assert {one.verdict for one in comparisons(many) if one.key == "hits_pmi"} == {"open"}


def test_what_an_older_version_published_is_shown_without_its_p():
    old = {"difference": {"value": 0.1, "low": 0.0, "high": 0.2}, "p_value": 0.04}
    [one] = comparisons({"candidates": 20, "paired": {"sft - base": {"hits_pmi": old}}})
    assert (one.p_value, one.verdict) == (None, "measured by an older version: evaluate again")
    assert one.interval() == "+10.0 (+0.0 to +20.0) points"
