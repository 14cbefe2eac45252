"""What a dataset's card says of its tables."""

from hub.parquet import size_category


def test_size_categories():
    assert [size_category(rows) for rows in (999, 1000, 220_000, 10**7)] == ["n<1K", "1K<n<10K", "100K<n<1M", "n>10M"]
