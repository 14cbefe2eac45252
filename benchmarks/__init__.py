"""Benchmarks: what is fast, measured in one run against a peer or a limit."""
