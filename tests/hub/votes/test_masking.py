"""E-mail addresses and phone numbers are masked, and what only looks like them is not."""

import pytest

from hub.votes.masking import mask_contacts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.o+x@mail.example.co.uk now", "Write to [e-mail] now"),
        ("(a@b.org)", "([e-mail])"),
        ("Call +44 20 7946 0018.", "Call [phone]."),
        ("(030) 123 45 67", "[phone]"),
        ("5550100222, or 555-010-0222!", "[phone], or [phone]!"),
    ],
)
def test_contacts_are_masked(text, masked):
    assert mask_contacts(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "It was 1939-1945.", "1984, 2001 and 1999 2000", "On 2026-01-31 at 18:05", "31.12.1999", "Room 101", "10 9 8",
        "1,000,000 dollars", "$ 12.50", "R2-D2 @ home", "Number 12 and 34 and 56 and 78",
    ],
)  # fmt: skip
def test_what_is_none_stays(text):
    assert mask_contacts(text) == text
