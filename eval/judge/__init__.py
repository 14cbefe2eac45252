"""Judges of replies: PMI under the base model, and LLMs behind OpenAI-compatible endpoints."""
