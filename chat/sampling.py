"""Sampling settings and their defaults: for the page, adapters' generation configs, preference pairs, evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_NEW_TOKENS = 64


@dataclass(frozen=True)
class Sampling:
    """Sampling settings of a reply. Raises ValueError for a value that cannot work."""

    temperature: float = 0.9
    """0 is greedy; above 1 flattens the distribution."""
    top_k: int = 25
    """Keep the k likeliest tokens; 0 keeps all."""
    top_p: float = 0.95
    """Keep the likeliest tokens that sum to this probability (Holtzman et al., 2020)."""
    max_new_tokens: int = MAX_NEW_TOKENS
    """Cut the reply after this many tokens, the end token included."""

    def __post_init__(self) -> None:
        if self.temperature != 0 and not 0.01 <= self.temperature <= 5:
            raise ValueError(f"temperature is {self.temperature}; it takes 0 (greedy) or 0.01 to 5")
        if not 0 <= self.top_k <= 1000 or int(self.top_k) != self.top_k:
            raise ValueError(f"top_k is {self.top_k}; it takes a whole number from 0 to 1000")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it takes a number above 0, at most 1")
        if not 1 <= self.max_new_tokens <= MAX_NEW_TOKENS or int(self.max_new_tokens) != self.max_new_tokens:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it takes a whole number, 1 to {MAX_NEW_TOKENS}")

    def to_generate_kwargs(self) -> dict[str, Any]:
        """Arguments of transformers' `generate`, and fields of its generation config."""
        if self.temperature == 0:
            return {"do_sample": False, "max_new_tokens": int(self.max_new_tokens)}
        return {
            "do_sample": True,
            "temperature": float(self.temperature),
            "top_k": int(self.top_k),
            "top_p": float(self.top_p),
            "max_new_tokens": int(self.max_new_tokens),
        }
