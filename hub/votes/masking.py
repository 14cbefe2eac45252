"""Masking of what a vote must not publish: e-mail addresses and phone numbers become a word in brackets."""

from __future__ import annotations

import re

MIN_DIGITS = 7  # of a phone number
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(r"(?<![\w.,])(?:\+|\(\+?)?\d[\d\s().\-/]{4,}\d(?!\w)")
YEARS_AND_DATES = re.compile(
    r"(?:1\d{3}|20\d{2})(?:[\s/-]+(?:1\d{3}|20\d{2}))+|\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}"
)


def mask_contacts(text: str) -> str:
    """The text with "[e-mail]" and "[phone]" in their places; years, dates and sums of money stay."""
    return PHONE.sub(_masked_number, EMAIL.sub("[e-mail]", text))


def _masked_number(found: re.Match[str]) -> str:
    number = found[0]
    if sum(sign.isdecimal() for sign in number) < MIN_DIGITS or YEARS_AND_DATES.fullmatch(number):
        return number
    return "[phone]"
