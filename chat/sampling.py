"""How a reply is drawn: one dataclass, shared by the page, the preference pairs and the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_NEW_TOKENS = 64


@dataclass(frozen=True)
class Sampling:
    temperature: float = 0.9
    """0 is greedy; above 1 flattens the distribution."""
    top_k: int = 25
    """Keep the k likeliest tokens; 0 keeps all."""
    top_p: float = 0.95
    """Keep the likeliest tokens that sum to this probability (Holtzman et al., 2020)."""
    max_new_tokens: int = MOST_NEW_TOKENS

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 5:
            raise ValueError(f"temperature is {self.temperature}; it takes 0 to 5")
        if not 0 <= self.top_k <= 1000 or int(self.top_k) != self.top_k:
            raise ValueError(f"top_k is {self.top_k}; it takes a whole number from 0 to 1000")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it takes a number above 0, at most 1")
        if not 1 <= self.max_new_tokens <= MOST_NEW_TOKENS:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it takes 1 to {MOST_NEW_TOKENS}")

    def to_generate_kwargs(self) -> dict[str, Any]:
        """The arguments of transformers' `generate`."""
        if self.temperature == 0:
            return {"do_sample": False, "max_new_tokens": self.max_new_tokens}
        return {
            "do_sample": True,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
        }
