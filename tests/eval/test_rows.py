"""Typed rows: what is published is read again as it was, column by column."""

import math

import pyarrow as pa
import pytest

from eval.rows import Response, compared_pairs
from tests.support.answered import VARIANTS, answered

COLUMNS = ["prompt", "film_reply", "shuffled_reply", "movie_id", "movie_title", "conversation_id", "line_ids"]
COLUMNS.append("distractors")


def test_a_response_goes_through_parquet_and_keeps_its_columns():
    row = answered(3)
    response = Response.from_row(row)
    assert response.to_row() == row
    table = pa.Table.from_pylist([response.to_row()])
    assert table.column_names == [*COLUMNS, *VARIANTS, "first_better"]
    assert Response.from_row(table.to_pylist()[0]) == response
    assert response.sheet_id == "L3-L4"


def test_a_row_of_before_has_neither_loss_of_the_end_nor_uncut_reply_nor_floor():
    row = answered(3)
    del row["base"]["film_reply_end_nats"], row["base"]["uncut"], row["shuffled_reply"]
    response = Response.from_row(row)
    assert (response.variants["base"].film_reply_end_nats, response.variants["base"].uncut) == (None, None)
    assert math.isnan(response.variants["base"].film_reply_text_nats)
    assert response.variants["sft"].film_reply_text_nats == row["sft"]["film_reply_nats"] - 1.5
    assert response.controls == {"film": "Film 3."}
    assert Response.from_row(answered(3)).controls == {"film": "Film 3.", "shuffled": "Then."}


def test_a_judge_compares_the_variants_and_what_tells_its_worth():
    pairs = compared_pairs(("base", "sft", "film", "shuffled"))
    assert pairs == [
        ("sft", "base"),
        *(("film", name) for name in ("base", "sft")),
        *((name, "shuffled") for name in ("base", "sft")),
        ("film", "shuffled"),
    ]
    assert compared_pairs(("base", "sft")) == [("sft", "base")]


def test_a_variant_that_is_not_there_is_no_column():
    row = {name: value for name, value in answered(3).items() if name != "dpo"}
    assert list(Response.from_row(row).variants) == ["base", "sft"]


def test_a_missing_column_is_an_error():
    row = {name: value for name, value in answered(3).items() if name != "distractors"}
    with pytest.raises(KeyError, match="distractors"):
        Response.from_row(row)
