"""Threads that may run torch: one that stays, so that libgomp lets its helpers wait for work without sleeping.

libgomp counts the helpers of every thread that has ever computed. Once they are more than the cores, all of them go to
sleep between two loops, and a step of many small loops takes three to five times as long. The helpers of a thread that
has ended are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def run_in_own_thread(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """Calls a function in a thread that ends with it, and raises what it raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *args, **kwargs).result()
