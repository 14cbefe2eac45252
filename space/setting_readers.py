"""Readers of settings: from a text and the variable that it stands in to a value, or a UserError that names both."""

from __future__ import annotations

import re

from hub.errors import UserError


def read_number(text: str, variable: str) -> float:
    """Reads a number. Raises UserError for what is none."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{text!r} is not a number: set {variable} to one above 0") from None


def read_seconds(text: str, variable: str) -> float:
    """Reads a time in seconds, which may be 0. Raises UserError for what is none."""
    seconds = read_number(text, variable)
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{text} cannot be: set {variable} to 0 or a number of seconds")
    return seconds


def read_port(text: str, variable: str) -> int:
    """Reads a port. Raises UserError for what is none."""
    if not text.isdecimal():
        raise UserError(f"{text!r} is not a port: choose one from 1 to 65535 with --port")
    return int(text)


def read_root_path(text: str, variable: str) -> str:
    """Reads a path, with or without its slashes, or a whole address. Raises UserError for anything else."""
    address = re.fullmatch(r"(https?://[^/?#\s]+)?/?([\w.~-]+(/[\w.~-]+)*)?/?", text.strip())
    if not address:
        raise UserError(f"{text!r} is not a path: set {variable} to one like /repartee, or to the page's whole address")
    return (address[1] or "") + (f"/{address[2]}" if address[2] else "")


def read_switch(text: str, variable: str) -> bool:
    """Reads a switch, which an empty value and 0 turn off."""
    return text not in ("", "0")


def read_text(text: str, variable: str) -> str:
    """Takes a text as it is."""
    return text
