"""Pasted text: keys, tokens and addresses as people set them, with a line break or a space at the ends."""

from __future__ import annotations

import os

from hub.errors import UserError


def pasted_secret(variable: str) -> str:
    """A key or token from an environment variable, without white space at its ends; "" where there is none.

    Raises:
        UserError: it cannot be sent in a header; the message names the variable, never the key.
    """
    secret = os.environ.get(variable, "").strip().strip("\ufeff\u200b").strip()
    if not all("!" <= sign <= "~" for sign in secret):
        raise UserError(
            f"{variable} holds a space, a line break or a letter that no key has; set it to the key alone, on one line"
        )
    return secret
