"""Writes the table of client calls into docs/hub.md: `.venv/bin/python -m tests.support.conformance`."""

from tests.support.conformance import END, PAGE, START, table

before, rest = PAGE.read_text().split(START)
PAGE.write_text(f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}")
