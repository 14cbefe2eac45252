"""Evaluation: metrics without a judge, LLM judges, people's choices, and the report of all three."""
