"""Who may look at whom: the import arrows of the house."""

import ast
from pathlib import Path

ROOMS = ("chat", "hub", "space", "training", "eval", "benchmarks")
ALLOWED = {
    "app": {"chat", "hub", "space"},
    "space": {"chat", "hub"},
    "chat": set(),
    "hub": set(),
    "eval": {"chat", "hub"},
    "training": {"chat", "hub"},
    "benchmarks": {"chat", "hub", "training", "eval"},
}
EXCEPTIONS = {"training/pipeline.py": {"eval"}}  # and everybody in training may ask eval.judge


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return modules


def test_arrows():
    wrong = []
    for path in [Path("app.py"), *(file for room in ROOMS for file in Path(room).rglob("*.py"))]:
        room = path.parts[0].removesuffix(".py")
        allowed = ALLOWED[room] | {room} | EXCEPTIONS.get(str(path), set())
        for module in imported(path):
            top = module.split(".")[0]
            judge = room == "training" and (module + ".").startswith("eval.judge.")
            if top in ROOMS and top not in allowed and not judge:
                wrong.append(f"{path} imports {module}")
    assert not wrong
