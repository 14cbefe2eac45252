"""Command lines of the pages, held to the parsers that they are for; nothing of them is run."""

import argparse
import contextlib
import functools
import importlib.util
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from training.recipe import load

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "chat", "docs", "eval", "hub", "space", "stats", "tests", "training")
PYTHON = (".venv/bin/python", "python")
OTHERS = ("export", "pip", "trackio", "vllm", "caddy")
"""Programs of others, whose command lines are theirs to check."""


class Found(BaseException):
    """A command has come as far as its parser. No Exception, so that no command catches it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@functools.cache
def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a module's command line, or of a script's, without running more of it."""

    def found(self: argparse.ArgumentParser, *arguments: object, **options: object) -> None:
        raise Found(self)

    original, argv, environment = argparse.ArgumentParser.parse_known_args, sys.argv, dict(os.environ)
    argparse.ArgumentParser.parse_known_args, sys.argv = found, [name]  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of a module that was imported before
            if name.endswith(".py"):
                runpy.run_path(str(ROOT / name), run_name="__main__")
            else:
                runpy.run_module(name, run_name="__main__")
    except Found as reached:
        return reached.parser
    finally:
        argparse.ArgumentParser.parse_known_args, sys.argv = original, argv  # type: ignore[method-assign]
        os.environ.clear()
        os.environ.update(environment)
    raise AssertionError(f"{name} has no command line")


def parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Raises AssertionError with the parser's own words for what it does not take."""
    parser.allow_abbrev = False
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            try:
                return parser.parse_intermixed_args(arguments)
            except TypeError:  # subcommands and remainders cannot be intermixed
                return parser.parse_args(arguments)
    except SystemExit:
        raise AssertionError(said.getvalue().strip().splitlines()[-1]) from None


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Every flag, those of subcommands too."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*map(options_of, action.choices.values()))
    return found


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def check_module(name: str, arguments: list[str]) -> None:
    """A command line of ours is one that its parser takes, and its recipe loads with the overrides given."""
    assert is_module(name) or (name.endswith(".py") and (ROOT / name).exists()), f"there is no {name}"
    if name == "pytest":
        for path in (part for part in arguments if part.startswith("tests/")):
            assert (ROOT / path.split("::")[0]).exists(), f"there is no {path}"
        return
    assert name.split(".")[0] in FOLDERS or name.endswith(".py"), f"{name} is not ours"
    mine, after = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        mine, after = arguments[:place], arguments[place + 1 :]
        assert after, "nothing after --"
    given = parsed(parser_of(name), mine if not after else [*mine, "--", *after])
    if after and after != ["COMMAND"]:
        check_command(after)
    if hasattr(given, "recipe") and hasattr(given, "overrides"):
        load(ROOT / given.recipe, given.overrides)


def make_targets() -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+):(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_make(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text()
    for part in arguments:
        variable, sign, _ = part.partition("=")
        if sign:
            assert f"$({variable})" in text, f"make has no {variable}"
        else:
            assert part in make_targets(), f"make has no {part}"


def check_command(words: list[str]) -> None:
    """One command, as words. Raises AssertionError or UserError where it cannot be."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program, *rest = words
    if program == "accelerate":
        assert rest[0] == "launch"
        assert (ROOT / rest[rest.index("--config_file") + 1]).exists(), "there is no such configuration of accelerate"
        rest = rest[rest.index("-m") :]
        program = "python"
    if program == "make":
        check_make(rest)
    elif program in PYTHON and rest[0] == "-m":
        check_module(rest[1], rest[2:])
    elif program in PYTHON:
        check_module(rest[0], rest[1:])
    elif program == "hf":
        check_hub_client(rest)
    else:
        assert program in OTHERS, f"{program} is a program that nobody knows"


def commands(line: str) -> Iterator[list[str]]:
    """The commands of a line of a script, its comment left out. Raises ValueError where a quotation is left open."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    reader.whitespace_split = True
    words: list[str] = []
    for word in [*reader, ";"]:
        if set(word) <= set("&|;"):
            if words:
                yield words
            words = []
        else:
            words.append(word)


def check_hub_client(words: list[str]) -> None:
    """An `hf` command whose options its help knows."""
    client = Path(sys.executable).with_name("hf")
    said = subprocess.run([client, *words[:2], "--help"], capture_output=True, text=True, check=True).stdout
    unknown = [word for word in words[2:] if word.startswith("--") and word not in said]
    assert not unknown, f"hf {' '.join(words[:2])} has no {unknown[0]}"
