"""Power analysis: how many raters and prompts it takes to tell two shares apart, before anybody is asked to read.

Choices of one prompt hang together: an obviously better reply is preferred by most raters. With intraclass correlation
rho and r raters a prompt, n votes are worth n / (1 + (r - 1) rho) independent ones (Kish, 1965).
"""

from __future__ import annotations

import math
from statistics import NormalDist

RHO = 0.4
"""Intraclass correlation of the raters of one prompt. An assumption, to be replaced by the kappa of a first round."""
_NORMAL = NormalDist()


def power(first: float, second: float, raters: int, prompts: int, rho: float = RHO, alpha: float = 0.05) -> float:
    """Power of a two-sided test at `alpha` that tells the shares `first` and `second` of one choice apart.

    A vote's difference (1 for the one, -1 for the other, 0 for a third) has variance p + q - (p - q)^2; the mean over
    the votes is taken as normal.
    """
    votes = raters * prompts / (1 + (raters - 1) * rho)
    difference = first - second
    error = math.sqrt((first + second - difference**2) / votes)
    if error == 0:
        return 1.0
    reach = _NORMAL.inv_cdf(1 - alpha / 2)
    away = abs(difference) / error
    return _NORMAL.cdf(away - reach) + _NORMAL.cdf(-away - reach)


def prompts_needed(first: float, second: float, raters: int, wanted: float, rho: float = RHO) -> int:
    """Sample size: the least number of prompts with which `power` reaches `wanted`.

    Raises:
        ValueError: the shares are equal, no number is enough.
    """
    if first == second:
        raise ValueError("equal shares cannot be told apart")
    low, high = 0, 1
    while power(first, second, raters, high, rho) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(first, second, raters, middle, rho) >= wanted else (middle, high)
    return high


def power_table(first: float, second: float, rho: float = RHO) -> str:
    """Markdown table of power by raters and prompts, and of the prompts that 80% and 90% take."""
    prompts = (50, 100, 200, 300, 500, 1000)
    head = "| raters | " + " | ".join(f"{n:,} prompts" for n in prompts) + " | 80% takes | 90% takes |"
    lines = [head, "|---:|" + "---:|" * (len(prompts) + 2)]
    for raters in (1, 2, 3, 5):
        cells = [f"{power(first, second, raters, n, rho):.0%}" for n in prompts]
        cells += [f"{prompts_needed(first, second, raters, wanted, rho):,}" for wanted in (0.8, 0.9)]
        lines.append(f"| {raters} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
