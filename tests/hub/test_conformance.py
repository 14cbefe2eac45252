"""Each row of the table of client calls, against one local Hub over real HTTP; the README has this table."""

import pytest
from conformance import PARTS, ROWS, Hub, in_readme, table

pytest.register_assert_rewrite(*PARTS)  # before `table` imports them

TABLE = table()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row, hub_url, tmp_path):
    row.check(Hub(hub_url, tmp_path))


def test_the_readme_has_this_table():
    assert in_readme() == TABLE, "write it anew: .venv/bin/python tests/hub/conformance.py"
    assert len(ROWS) >= 60
    assert len({str(row) for row in ROWS}) == len(ROWS)
