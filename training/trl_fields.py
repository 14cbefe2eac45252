"""TRL config fields by name and type, cached by version: `python -m training.trl_fields` makes the file anew.

Importing SFTConfig, DPOConfig, RewardConfig and RLOOConfig for their annotations takes seconds. `trl_fields.json` has
the same fields and, under "versions", the packages they were read from; where another version is installed, the live
classes are read instead, so that a recipe is never checked against a TRL that is not there.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("trl_fields.json")
CONFIGS = ("SFTConfig", "DPOConfig", "RewardConfig", "RLOOConfig")
LIVE = "Any  # a dataclass"
BUILTIN_TYPES = (bool, str, int, float, dict, list, types.NoneType)
"""What YAML has a value of. Any other type (an enum of transformers, say) checks its value itself: `Any` here."""


def field_types(config: str, used: Iterable[str]) -> dict[str, Any]:
    """Type of each field of a TRL config by name, without importing TRL where the cache is of the installed versions.

    Args:
        config: one of `CONFIGS`.
        used: the fields that a recipe sets; where one of them takes a dataclass, the live class is read.
    """
    cached = json.loads(PATH.read_text("utf-8"))
    spelled = cached["shared"] | cached[config]
    if cached["versions"] != installed_versions() or any(spelled.get(name) == LIVE for name in used):
        return live_field_types(config)
    return typing.get_type_hints(type(config, (), {"__annotations__": spelled}), vars(typing))


def live_field_types(config: str) -> dict[str, Any]:
    """Type of each field of the installed TRL's config; takes seconds."""
    import trl

    live = getattr(trl, config)
    hints = typing.get_type_hints(live)
    return {field.name: hints[field.name] for field in dataclasses.fields(live)}


def installed_versions() -> dict[str, str | None]:
    """Versions of the packages that define the fields; TRL's configs inherit from transformers' TrainingArguments."""
    found: dict[str, str | None] = {}
    for package in ("trl", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def spell_field(annotation: Any) -> str:
    """A field's type as `spell_type` has it, or `LIVE` where it is a dataclass, whose fields are not cached."""
    choices = typing.get_args(annotation) or (annotation,)
    return LIVE if any(map(dataclasses.is_dataclass, choices)) else spell_type(annotation)


def spell_type(annotation: Any) -> str:
    """A type as an expression over `typing`: `float | None`, `Literal['a', 'b']`, `Any` for what is not built in."""
    kind, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if kind in (typing.Union, types.UnionType):
        return " | ".join(map(spell_type, arguments))
    if kind is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if kind not in BUILTIN_TYPES:
        return "Any"
    name = "None" if kind is types.NoneType else kind.__name__
    return f"{name}[{', '.join(map(spell_type, arguments))}]" if arguments else name


def read_live() -> dict[str, Any]:
    """The content of `trl_fields.json` for the installed versions: fields that all configs share stand there once."""
    spelled = {
        config: {name: spell_field(annotation) for name, annotation in sorted(live_field_types(config).items())}
        for config in CONFIGS
    }
    first, *others = spelled.values()
    shared = {name: text for name, text in first.items() if all(fields.get(name, None) == text for fields in others)}
    own = {
        config: {name: text for name, text in fields.items() if name not in shared}
        for config, fields in spelled.items()
    }
    return {"versions": installed_versions(), "shared": shared, **own}


if __name__ == "__main__":
    PATH.write_text(json.dumps(read_live(), indent=1) + "\n", "utf-8")
    print(f"wrote {PATH}")
