"""The ballot: blind, even, the same whenever it is asked for."""

from collections import Counter

from hub.votes.ballot import Option, hash_of, options

REPLIES = {"base": "I know.", "sft": "No.", "dpo": "Never."}


def test_equal_replies_are_one_option():
    assert options({"base": "No.", "sft": "No. ", "dpo": "No."}, 1) == [Option("No.", ("base", "dpo", "sft"))]
    found = options({"base": "Yes.", "sft": "No.", "dpo": "No."}, 1)
    assert {option.text: option.variants for option in found} == {"Yes.": ("base",), "No.": ("dpo", "sft")}


def test_the_order_hangs_on_the_key_alone():
    assert options(REPLIES, "seed", "ann", 3) == options(dict(reversed(REPLIES.items())), "seed", "ann", 3)
    orders = Counter(tuple(option.variants[0] for option in options(REPLIES, "seed", "ann", n)) for n in range(3_000))
    assert len(orders) == 6
    assert all(abs(count - 500) < 100 for count in orders.values())  # 4.9 standard errors
    assert hash_of("1", "2") != hash_of("12")
