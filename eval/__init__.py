"""Evaluation: metrics without a judge, LLM judges, people's choices, and the report of all three."""

import chat  # noqa: F401 - before torch: how its threads wait
