"""What can be wrong with a page of the documentation: links, paths, commands, recipes, code, settings, length."""

import ast
import dataclasses
import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from hub.errors import UserError
from tests.support.commands import FOLDERS, ROOT, check_command, check_make, commands, is_module, options_of, parser_of
from training.recipe import Recipe, load

SUFFIXES = (".py", ".yaml", ".md", ".txt", ".html", ".css", ".jinja", ".json", ".png", ".toml")
CARDS = ROOT / "training" / "adapters"
"""Shipped adapters, whose cards stand as they were published: their links are the Hub's."""
FOUND = (page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))
PAGES = sorted([ROOT / "README.md", *(page for page in FOUND if CARDS not in page.parents[1:])])
RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))
PLACEHOLDER = re.compile(r"\.\.\.|\[")


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
    return "\n".join(path.read_text("utf-8") for path in files if path.name != "test_docs.py")


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
