"""Typed rows: what is published is read again as it was, column by column."""

import pyarrow as pa
import pytest

from eval.rows import Response
from tests.support.answered import VARIANTS, answered

COLUMNS = ["prompt", "film_reply", "movie_id", "movie_title", "conversation_id", "line_ids", "distractors"]


def test_a_response_goes_through_parquet_and_keeps_its_columns():
    row = answered(3)
    response = Response.from_row(row)
    assert response.to_row() == row
    table = pa.Table.from_pylist([response.to_row()])
    assert table.column_names == [*COLUMNS, *VARIANTS, "first_better"]
    assert Response.from_row(table.to_pylist()[0]) == response
    assert response.sheet_id == "L3-L4"


def test_a_row_of_before_has_no_loss_of_the_end_token():
    row = answered(3)
    del row["base"]["film_reply_end_nats"]
    assert Response.from_row(row).variants["base"].film_reply_end_nats is None


def test_a_variant_that_is_not_there_is_no_column():
    row = {name: value for name, value in answered(3).items() if name != "dpo"}
    assert list(Response.from_row(row).variants) == ["base", "sft"]


def test_a_missing_column_is_an_error():
    row = {name: value for name, value in answered(3).items() if name != "distractors"}
    with pytest.raises(KeyError, match="distractors"):
        Response.from_row(row)
