"""The pages: README length, links, paths, commands, recipes, code, settings. Each check has a planted fault."""

import re

import pytest

from space.settings import settings_table
from tests.support.commands import ROOT, check_command
from tests.support.pages import PAGES, RECIPES, commands, faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_holds(page, tmp_path):
    assert not faults(page.read_text("utf-8"), page, tmp_path)


def test_the_pages_that_the_readme_promises_are_there():
    promised = ["data", "training", "feedback", "evaluation", "page", "engine", "export", "hub"]
    promised += ["architecture", "results", "contributing"]
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == set(promised)
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"](docs/{name}.md)" in text for name in promised)


def test_the_table_of_settings_is_the_one_that_is_printed():
    assert settings_table() in (ROOT / "docs" / "page.md").read_text("utf-8")


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
