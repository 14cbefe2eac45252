"""The file of a recipe: YAML sections of keys, each written once, and `section.key=value` overrides on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.errors import UserError
from hub.text_file import read_text_file


def read_recipe_file(path: str | Path, overrides: Sequence[str] = ()) -> Any:
    """Content of a recipe with its overrides: sections of keys, as YAML has them, not checked.

    Raises:
        UserError: the file is not there or is not YAML, a key stands in it twice, or an override is none.
    """
    import yaml

    if not Path(path).is_file():
        raise UserError(f"recipe {path} cannot be read (no such file); there are some in training/recipes")
    try:
        content = parse_yaml(read_text_file(Path(path)), f"recipe {path}")
        content = {} if content is None else content
        for override in overrides:
            key, sign, value = override.partition("=")
            if not sign:
                raise UserError(f"'{override}' is not an override; write section.key=value")
            set_key(content, key, parse_yaml(value, f"override '{override}'"))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"recipe {path} is not sections of keys in YAML: {' '.join(str(error).split())}") from error
    return content


def parse_yaml(text: str, name: str) -> Any:
    """Value of a YAML text. Raises UserError where a key stands twice in one mapping, YAMLError where it is no YAML."""
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        check_keys(node, name)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def check_keys(node: Any, name: str, path: str = "", checked: set[int] | None = None) -> None:
    """Checks that no key stands twice in a mapping: YAML would silently keep the last. Raises UserError."""
    import yaml

    checked = set() if checked is None else checked
    if id(node) in checked or isinstance(node, yaml.ScalarNode):  # an alias is the node that it stands for
        return
    checked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            check_keys(entry, name, path, checked)
        return
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            where, line = f"{path}{key.value}", key.start_mark.line + 1
            if first := lines.get((key.tag, key.value)):
                raise UserError(f"{name} has {where} twice, in line {first} and in line {line}; make them one")
            lines[key.tag, key.value] = line
            check_keys(value, name, f"{where}.", checked)


def set_key(content: Any, key: str, value: Any) -> None:
    """Sets `section.key` in the content of a recipe; a section that is empty or not there is made."""
    *sections, last = key.split(".")
    for section in sections:
        if content.get(section) is None:
            content[section] = {}
        content = content[section]
    content[last] = value
