"""Recipe: one YAML file per model size, checked before anything is downloaded.

`load(path, ["dpo.beta=0.3"])` reads the file, applies `section.key=value` overrides and returns typed dataclasses. An
unknown key, a wrong type or an impossible value is one line that names the key and what it takes. `sft`, `dpo`,
`reward` and `rl` take, beside their own fields, any field of TRL's SFTConfig, DPOConfig, RewardConfig and RLOOConfig.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eval.judge.names import REALISM_FORMS
from eval.judge.settings import JudgeSettings
from hub.errors import UserError
from hub.names import Names
from training.recipe_file import read_recipe_file
from training.recipe_preferences import Preferences
from training.recipe_prune import Prune
from training.recipe_schema import (
    Data,
    Dpo,
    Evaluation,
    Hub,
    Jobs,
    Model,
    Realism,
    Reward,
    Rl,
    Sft,
    Source,
    Sweep,
    Trainer,
)
from training.trl_fields import BUILTIN_TYPES, field_types

TRL_CONFIG: dict[type, str] = {Sft: "SFTConfig", Dpo: "DPOConfig", Reward: "RewardConfig", Rl: "RLOOConfig"}
"""The TRL config whose fields a section takes beside its own."""


@dataclass(frozen=True)
class Recipe:
    """Recipe of one model size: every section of the file, typed, with the defaults of what the file leaves out."""

    hub: Hub = field(default_factory=Hub)
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    sft: Sft = field(default_factory=Sft)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    second_judge: JudgeSettings = field(default_factory=JudgeSettings)
    preferences: Preferences = field(default_factory=Preferences)
    realism: Realism = field(default_factory=Realism)
    dpo: Dpo = field(default_factory=Dpo)
    reward: Reward = field(default_factory=Reward)
    rl: Rl = field(default_factory=Rl)
    sweep: Sweep = field(default_factory=Sweep)
    eval: Evaluation = field(default_factory=Evaluation)
    jobs: Jobs = field(default_factory=Jobs)
    prune: Prune = field(default_factory=Prune)

    def __post_init__(self) -> None:
        for key, value in (("source", self.preferences.source), ("prompts_from", self.preferences.prompts_from)):
            if value == "judge" and not self.judge.model:
                raise ValueError(f"preferences.{key} is judge and judge.model is not given; name the LLM that is asked")

    @property
    def own_realism(self) -> bool:
        """Whether the namespace's own realism judge labels or evaluates."""
        return bool({self.preferences.source, self.eval.judge} & {*REALISM_FORMS})

    @property
    def names(self) -> Names:
        """The repository names; asks the Hub for the namespace where the recipe leaves it open."""
        return Names(self.hub.namespace or _own_namespace(), self.model.size)


def load(path: str | Path, overrides: typing.Sequence[str] = ()) -> Recipe:
    """Recipe from its YAML file and overrides, checked.

    Args:
        path: the YAML file.
        overrides: `section.key=value`, values in YAML.

    Raises:
        UserError: the file is not there, is not YAML, has a key twice, or says something that cannot be.
    """
    return build_section(Recipe, read_recipe_file(path, overrides), "")


def build_section(cls: type, content: Any, path: str) -> Any:
    """Dataclass `cls` from a mapping of its fields, sections within it included.

    Args:
        cls: a section of `training.recipe_schema` or `training.recipe_preferences`, or `Recipe` itself.
        content: what YAML has for it; an empty section (null) is its defaults.
        path: its keys from the top, for the messages: "model.lora.".

    Raises:
        UserError: a key is unknown or missing, or a value does not fit; the message names the key.
    """
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"recipe: {path or 'the file'} takes a mapping of keys, not {content!r}")
    annotations = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)} - {"trl"}
    extra = {key: value for key, value in content.items() if key not in known}
    values = {key: fit(annotations[key], value, f"{path}{key}") for key, value in content.items() if key in known}
    if issubclass(cls, Trainer):
        values["trl"] = fit_trl_fields(cls, extra, path) if extra else {}
    elif extra:
        raise UserError(f"recipe: unknown key {path}{next(iter(extra))}; known here: {', '.join(sorted(known))}")
    needed = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in values]:
        raise UserError(f"recipe: {path}{missing[0]} is missing; known here: {', '.join(sorted(known))}")
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"recipe: {path}{error}") from error


def fit_trl_fields(section: type, content: dict[str, Any], path: str) -> dict[str, Any]:
    """TRL fields of a section, checked against the names and types of its config class."""
    config = TRL_CONFIG[section]
    annotations = field_types(config, content)
    # YAML reads a bare `no` as false
    content = {key: "no" if value is False and key.endswith("_strategy") else value for key, value in content.items()}
    for key in content:
        if key not in annotations:
            raise UserError(f"recipe: unknown key {path}{key}; neither ours nor a field of TRL's {config}")
    return {key: fit(annotations[key], value, f"{path}{key}") for key, value in content.items()}


def fit(annotation: Any, value: Any, path: str) -> Any:
    """Value in its annotated type, or UserError. YAML reads 1e-4 as text and 1 as integer: both are good floats."""
    if dataclasses.is_dataclass(annotation):
        return build_section(typing.cast(type, annotation), value, f"{path}.")
    kind, choices = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if kind is list and choices == (Source,):
        entries = value if isinstance(value, list) else [value]
        return [fit(Source, {"path": entry} if isinstance(entry, str) else entry, path) for entry in entries]
    if kind in (typing.Union, types.UnionType):
        for choice in sorted(choices, key=lambda choice: choice is str):  # a text only where nothing else fits
            try:
                return fit(choice, value, path)
            except UserError:
                continue
    elif kind is Literal:
        if value in choices:
            return value
    elif kind is float and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    elif kind is int and isinstance(value, bool):
        pass
    elif kind not in BUILTIN_TYPES or isinstance(value, kind):
        return value  # an enum or a class of transformers' own, which checks it itself
    raise UserError(f"recipe: {path} is {value!r}; it takes {_spell(annotation)}")


def _spell(annotation: Any) -> str:
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _own_namespace() -> str:
    from huggingface_hub import get_token, whoami

    if get_token() is None:
        raise UserError("no Hub token found; set HF_TOKEN, or name hub.namespace and run against a local Hub")
    return whoami()["name"]
