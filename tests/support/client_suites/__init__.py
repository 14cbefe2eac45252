"""Clients' own test suites against the local Hub."""
