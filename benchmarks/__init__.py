"""Benchmarks: what is fast, measured in one run against a peer or a limit."""

import chat  # noqa: F401 - before torch: how its threads wait
