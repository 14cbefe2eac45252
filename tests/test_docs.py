"""The pages: README length, links, paths, commands, recipes, code, settings. Each check has a planted fault."""

import argparse
import ast
import contextlib
import dataclasses
import functools
import importlib.util
import io
import os
import re
import runpy
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hub.errors import UserError
from training.recipe import Recipe, load

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "chat", "docs", "eval", "hub", "space", "stats", "tests", "training")
SUFFIXES = (".py", ".yaml", ".md", ".txt", ".html", ".css", ".jinja", ".json", ".png", ".toml")
PAGES = sorted([ROOT / "README.md", *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))
PYTHON = (".venv/bin/python", "python")
OTHERS = ("export", "pip", "trackio", "vllm")
"""Programs of others, whose command lines are theirs to check."""
PLACEHOLDER = re.compile(r"\.\.\.|\[")


# ---- taking a page apart


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block."""
    for found in re.finditer(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL):
        yield found[2], textwrap.dedent(found[3])


def prose(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page.read_text("utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return names


# ---- commands


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


# ---- what can be wrong with a page


def wrong(check: str, what: object) -> str:
    return f"{check}: {what}"


def link_faults(text: str, page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text))):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists():
            yield wrong("link", target)
        elif anchor and anchor not in anchors(linked):
            yield wrong("anchor", target)


@functools.cache
def file_names() -> frozenset[str]:
    return frozenset(path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")) | {"app.py"}


def path_faults(text: str, page: Path) -> Iterator[str]:
    for span in spans(text):
        if re.fullmatch(r"[\w-]+\.(py|yaml|jinja)", span):
            if span not in file_names():
                yield wrong("file", span)
        elif re.fullmatch(r"[\w][\w.-]*(/[\w.-]+)+/?|[\w-]+/", span):
            ours = span.split("/")[0] in FOLDERS or span.endswith(SUFFIXES)
            if ours and not any((folder / span).exists() for folder in (ROOT, page.parent)):
                yield wrong("path", span)


def command_faults(text: str) -> Iterator[str]:
    for language, content in blocks(text):
        if language == "bash":
            for line in content.replace("\\\n", " ").splitlines():
                try:
                    for words in commands(line):
                        check_command(words)
                except (AssertionError, UserError, ValueError, IndexError) as error:
                    yield wrong(line, error)
        elif language == "" and re.search(r"^(make|python|\S*/python|\$) ", content, re.MULTILINE):
            yield wrong("a block of commands that is not called bash", content)
    for span in spans(text):
        try:
            check_span(span.split())
        except (AssertionError, IndexError) as error:
            yield wrong(span, error)


def check_span(words: list[str]) -> None:
    """A command within a sentence: its module or target and its flags; what it needs beside them may be left out."""
    if words[:2] == ["python", "-m"]:
        name = words[2].rstrip(",")
        assert is_module(name), f"there is no {name}"
        if name.split(".")[0] in FOLDERS:
            flags = {word.split("=")[0] for word in words[3:] if word.startswith("--") and word != "--"}
            assert not flags or flags <= options_of(parser_of(name)), f"{name} does not take {flags}"
    elif words[0] == "make":
        check_make([word for word in words[1:] if not PLACEHOLDER.search(word)])


def content_faults(text: str, folder: Path) -> Iterator[str]:
    """Of blocks of YAML, which load as recipes where they are that, and of Python, which compile."""
    sections = {field.name for field in dataclasses.fields(Recipe)}
    for language, content in blocks(text):
        try:
            if language == "yaml":
                read = yaml.safe_load(content)
                if isinstance(read, dict) and sections & set(read):
                    (folder / "recipe.yaml").write_text(content)
                    load(folder / "recipe.yaml")
            elif language == "python":
                for node in ast.walk(ast.parse(content)):
                    if isinstance(node, ast.ImportFrom):
                        assert is_module(str(node.module)), f"there is no {node.module}"
        except (yaml.YAMLError, UserError, SyntaxError, AssertionError) as error:
            yield wrong(language, error)
        if language not in ("", "bash", "yaml", "python"):
            yield wrong("a language that nothing checks", language)


@functools.cache
def code() -> str:
    files = [
        ROOT / "app.py",
        ROOT / "Makefile",
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
    ]
    return "\n".join(path.read_text("utf-8") for path in files if path != Path(__file__))


def setting_faults(text: str) -> Iterator[str]:
    for name in set(re.findall(r"REPARTEE_[A-Z_]+", text)):
        if not re.search(rf"\b{name}\b", code()):
            yield wrong("setting", name)


def length_faults(text: str) -> Iterator[str]:
    if (lines := len(text.splitlines())) > 120:
        yield wrong("lines", lines)
    if (words := len(text.split())) > 1_000:
        yield wrong("words", words)


def faults(text: str, page: Path, folder: Path) -> list[str]:
    return [
        *link_faults(text, page),
        *path_faults(text, page),
        *command_faults(text),
        *content_faults(text, folder),
        *setting_faults(text),
        *(length_faults(text) if page == ROOT / "README.md" else ()),
    ]


# ---- the pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_holds(page, tmp_path):
    assert not faults(page.read_text("utf-8"), page, tmp_path)


def test_the_pages_that_the_readme_promises_are_there():
    promised = ["data", "training", "feedback", "evaluation", "page", "engine", "export", "hub"]
    promised += ["architecture", "results", "contributing"]
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == set(promised)
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"](docs/{name}.md)" in text for name in promised)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_head_of_a_recipe_says_how_to_launch_it(recipe):
    head = recipe.read_text("utf-8").split("\n\n")[0]
    launched = re.findall(r"python -m training\.pipeline .*", head)
    assert len(launched) == 1
    assert recipe.relative_to(ROOT).as_posix() in launched[0]
    for words in commands(launched[0]):
        check_command(words)
    assert f"`{recipe.name}`" in (recipe.parent / "README.md").read_text("utf-8")


def block(language: str, content: str) -> str:
    return f"```{language}\n{content}\n```\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[a](docs/nothing.md)", "link"),
        ("[a](docs/data.md#nothing)", "anchor"),
        ("[a](#nothing)", "anchor"),
        ("`chat/nothing.py`", "path"),
        ("`training/nothing/`", "path"),
        ("`nothing.yaml`", "file"),
        ("`REPARTEE_NOTHING`", "setting"),
        ("`python -m training.nothing`", "no training.nothing"),
        ("`python -m training.sft --nothing`", "--nothing"),
        ("`make nothing`", "no nothing"),
        (block("bash", "make nothing"), "no nothing"),
        (block("bash", "make demo NOTHING=1"), "no NOTHING"),
        (block("bash", "python -m training.nothing"), "no training.nothing"),
        (block("bash", "python -m training.sft --nothing  # a comment"), "--nothing"),
        (block("bash", "python -m training.sft --dry"), "--dry"),
        (block("bash", "python -m training.sft sft.nothing=1"), "sft.nothing"),
        (block("bash", "python -m training.sft \\\n  --recipe training/recipes/nothing.yaml"), "cannot be read"),
        (block("bash", "python -m benchmarks.starter"), "--corpus"),
        (block("bash", "make setup && python -m hub.local run -- python -m hub.nothing"), "no hub.nothing"),
        (block("bash", "python -m hub.local nothing"), "nothing"),
        (block("bash", "A=1 python app.py --nothing"), "--nothing"),
        (block("bash", "accelerate launch --config_file training/accelerate/ddp.yaml -m training.nothing"), "nothing"),
        (block("bash", "python -m pytest tests/nothing.py"), "tests/nothing.py"),
        (block("bash", "nothing"), "nobody knows"),
        (block("bash", "make 'test"), "quotation"),
        (block("", "make test"), "not called bash"),
        (block("yaml", "sft: {nothing: 1}"), "sft.nothing"),
        (block("yaml", "a: ["), "yaml"),
        (block("python", "a ="), "python"),
        (block("python", "from hub.nothing import a"), "hub.nothing"),
        (block("ruby", "a"), "nothing checks"),
        ("line\n" * 121, "lines"),
        ("word " * 1_001, "words"),
    ],
)
def test_a_planted_fault_is_found(text, named, tmp_path):
    found = faults(text, ROOT / "README.md", tmp_path)
    assert len(found) == 1, found
    assert named in found[0]
