"""The structure of the code: who imports whom, no circles, no file too long, one name for one thing.

The arrows are the list in pyproject.toml, `[tool.repartee.arrows]`; the wheel's packages are its top level.
"""

from __future__ import annotations

import ast
import fnmatch
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ARROWS: dict[str, list[str]] = PROJECT["tool"]["repartee"]["arrows"]
SIBLINGS: dict[str, list[str]] = PROJECT["tool"]["repartee"]["siblings"]
ROOMS = [room for room in ARROWS if "." not in room]
MOST_LINES = 250
IN_SEVERAL_ROOMS = {"main"}
"""Names that may be defined in more than one room: of the same kind in each."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(path): path
    for room in ROOMS
    for path in ([ROOT / "app.py"] if room == "app" else sorted((ROOT / room).rglob("*.py")))
}


def imports(path: Path, at_start: bool = False) -> set[str]:
    """The modules of ours that a file imports: anywhere in it, or only those that are loaded when it is."""
    found = set()

    def read(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found.update(inside & MODULES.keys() or {node.module})

    tree = ast.parse(path.read_text("utf-8"))
    read(tree.body if at_start else [node for node in ast.walk(tree) if isinstance(node, ast.stmt)])
    return {name for name in found if name.split(".")[0] in ROOMS}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def test_arrows():
    wrong = []
    for module, path in MODULES.items():
        room = module.split(".")[0]
        allowed = [room, *ARROWS[room], *ARROWS.get(module, [])]
        wrong += [f"{module} imports {other}" for other in imports(path) if not any(within(other, a) for a in allowed)]
    assert not wrong


def test_arrows_between_the_rooms_of_training():
    wrong = []
    for module, path in MODULES.items():
        own = next((room for room in SIBLINGS if within(module, room)), None)
        others = [room for room in SIBLINGS if own and room not in (own, *SIBLINGS[own])]
        wrong += [f"{module} imports {other}" for other in imports(path) if any(within(other, room) for room in others)]
    assert not wrong


def test_what_is_imported_is_there_under_this_name():
    """Commands are found without the room that they lie in (`training.sft`); imports name the file where it lies."""
    assert [
        f"{module}: {name}" for module, path in MODULES.items() for name in imports(path) if name not in MODULES
    ] == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_circles():
    graph = {module: imports(path) & MODULES.keys() - {module} for module, path in MODULES.items()}
    assert circles(graph) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


@pytest.mark.parametrize("folder", [*ROOMS[:-1], "tests"] if ROOMS[-1] == "app" else [*ROOMS, "tests"])
def test_no_file_is_too_long(folder):
    files = [ROOT / "app.py"] if folder == "app" else (ROOT / folder).rglob("*.py")
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: count for path, count in lengths.items() if count > MOST_LINES} == {}


def definitions(path: Path) -> set[str]:
    """The public names that a module defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def test_no_name_has_two_meanings():
    """A public name is defined in one room alone, so that whoever reads it knows what it is."""
    rooms = defaultdict(set)
    for module, path in MODULES.items():
        for name in definitions(path):
            rooms[name].add(module.split(".")[0])
    several = {name: sorted(where) for name, where in rooms.items() if len(where) > 1}
    assert {name: where for name, where in several.items() if name not in IN_SEVERAL_ROOMS} == {}
    assert set(several) >= IN_SEVERAL_ROOMS  # none is allowed that need not be


@pytest.mark.parametrize("name", ["figures", "Models", "Vote", "Item", "Score", "told", "words"])
def test_names_that_had_two_meanings_have_one(name):
    assert len([module for module, path in MODULES.items() if name in definitions(path)]) <= 1


def test_the_wheel_has_every_package():
    patterns = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(pattern.rstrip("*") for pattern in patterns) == sorted(room for room in ROOMS if room != "app")
    assert PROJECT["tool"]["setuptools"]["py-modules"] == ["app"]
    for module, path in MODULES.items():
        if module != "app":
            assert any(fnmatch.fnmatch(module, pattern) for pattern in patterns)
            assert (path.parent / "__init__.py").exists(), f"{path.parent} is no package: it would not be in the wheel"


TOPICS = {
    "commands": "the command lines of a room",
    "conformance": "unmodified clients of the Hub",
    "durability": "the local Hub, killed",
    "security": "the local Hub, attacked",
    "full_run": "G-Eval, people and the report in one study",
    "load": "the page under a crowd",
    "safety": "the page, attacked",
    "programs": "the page's endpoints, for programs",
    "engines": "the page on each engine",
    "killed": "the judge's client, killed",
    "mutations": "readers on damaged corpora",
    "full_corpus": "the whole Cornell corpus",
    "processes": "a stage in several processes",
    "distributed": "configurations for several GPUs",
    "sample": "the sample corpus",
    "runs": "trainings, resumed and repeated",
    "startup_time": "what commands import",
}
"""Tests of several modules at once are named after what they are about."""


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "app"])
def test_tests_mirror_the_modules(room):
    """A test lies where its module lies, under its name; what it is about may follow."""
    known = {module.split(".")[-1].strip("_") for module in MODULES if within(module, room)} | TOPICS.keys()
    wrong = []
    for path in (ROOT / "tests" / room).rglob("test_*.py"):
        subject = path.stem.removeprefix("test_")
        folder = path.parent.relative_to(ROOT / "tests")
        if not (ROOT / folder).is_dir():
            wrong.append(f"{path.relative_to(ROOT)}: there is no {folder}")
        if not any(subject == name or subject.startswith(f"{name}_") for name in known):
            wrong.append(f"{path.relative_to(ROOT)}: no module of {room} is named {subject}")
    assert not wrong
