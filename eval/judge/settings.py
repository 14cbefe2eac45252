"""Judge settings: which LLM judges, where, how fast, and for how much money; a recipe's `judge` section, and flags.

Each setting's name, default and help stand in `JudgeSettings` alone: `add_settings_arguments` makes them a command
line's flags.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import typing
from dataclasses import dataclass, fields
from urllib.parse import urlsplit


@dataclass(frozen=True)
class JudgeSettings:
    """An OpenAI-compatible endpoint."""

    model: str | None = None
    """As the endpoint calls it; null: no LLM judges."""
    base_url: str | None = None
    """Address up to `/v1`; null is OpenAI's own."""
    key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; the key itself never stands in a recipe."""
    effort: str | None = None
    """Of a reasoning model: none, low, medium, high. Most give log-probabilities with `none` alone."""
    thinking_tokens: int = 2048
    """At most, before the answer of a judge that thinks first; an answer that is cut off is unscored."""
    in_flight: int = 64
    """Calls at one time."""
    requests_per_minute: int | None = None
    """At most; null: no limit but `in_flight`."""
    tokens_per_minute: int | None = None
    """At most, prompts and answers together."""
    timeout: float = 60.0
    """Seconds to wait for one answer."""
    budget: float | None = None
    """US dollars; a call that could pass it is not made."""
    price_in: float | None = None
    """US dollars per million prompt tokens, for a model that `eval.judge.prices` does not know."""
    price_out: float | None = None
    """The same for answers."""
    batch: bool = False
    """Through the Batch API: half the price, within a day. Start again to collect."""

    def __post_init__(self) -> None:
        for name in ("model", "base_url", "key_env", "effort"):  # pasted by people, with a line break at the end
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, text.strip())
        address = urlsplit(self.base_url or "https://api.openai.com/v1")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"base_url is {self.base_url}; it takes a whole address, like https://example.com/v1")
        for name in ("thinking_tokens", "in_flight", "requests_per_minute", "tokens_per_minute", "timeout", "budget"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}; it takes a number above 0")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("price_in and price_out go together")


def field_docs(of: type) -> dict[str, str]:
    """Docstrings under the fields of a class, by field."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(of)).body if isinstance(node, ast.ClassDef))
    found = {}
    for node, below in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(below, ast.Expr):
            found[node.target.id] = inspect.cleandoc(ast.literal_eval(below.value))
    return found


def add_settings_arguments(parser: argparse.ArgumentParser, required: typing.Collection[str] = ()) -> None:
    """Adds one flag for each field of `JudgeSettings`, with the field's default and docstring.

    Args:
        parser: the command line.
        required: fields that have to be given.
    """
    group = parser.add_argument_group("judge", "as a recipe's `judge` section has them")
    docs, types = field_docs(JudgeSettings), typing.get_type_hints(JudgeSettings)
    for field in fields(JudgeSettings):
        flag, text = f"--{field.name.replace('_', '-')}", docs[field.name].replace("%", "%%")
        if types[field.name] is bool:
            group.add_argument(flag, action="store_true", help=text)
            continue
        (kind,) = {types[field.name], *typing.get_args(types[field.name])} & {str, int, float}
        shown = "" if field.default is None else f" (default: {field.default})"
        group.add_argument(flag, type=kind, default=field.default, required=field.name in required, help=text + shown)


def settings_from(arguments: argparse.Namespace) -> JudgeSettings:
    """Judge settings from the flags of `add_settings_arguments`.

    Raises:
        ValueError: an impossible value; the message names it.
    """
    return JudgeSettings(**{field.name: getattr(arguments, field.name) for field in fields(JudgeSettings)})
