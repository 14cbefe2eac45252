"""Assumptions of an estimate, read from `assumptions.yaml`: every number there says where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

PATH = Path(__file__).with_name("assumptions.yaml")


class Call(NamedTuple):
    """Tokens of one question to an LLM."""

    prompt: int
    answer: int


@dataclass(frozen=True)
class Device:
    """Device that training or sampling may run on."""

    name: str
    """As people call it; a flavor of HF Jobs by its name there."""
    tflops: float
    """10^12 floating-point operations a second in bf16, dense."""
    gigabytes_per_second: float
    """Of its memory."""
    memory: float
    """In GB."""
    dollars_per_hour: float | None = None
    """None where it is one's own."""


@dataclass(frozen=True)
class Assumptions:
    """All of the file; units are in its comments."""

    date: str
    tokens: dict[str, float]
    shares: dict[str, float]
    calls: dict[str, Call]
    bytes: dict[str, float]
    speed: dict[str, float]
    devices: tuple[Device, ...]


@lru_cache(maxsize=1)
def assumptions() -> Assumptions:
    """The assumptions of `assumptions.yaml`."""
    content = yaml.safe_load(PATH.read_text("utf-8"))
    content |= {
        "date": str(content["date"]),
        "calls": {name: Call(**tokens) for name, tokens in content["calls"].items()},
        "devices": tuple(Device(**one) for one in content["devices"]),
    }
    return Assumptions(**content)
