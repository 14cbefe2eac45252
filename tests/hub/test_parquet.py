"""What a dataset's card says of its tables."""

from hub.parquet import size_category


def test_size_categories():
    rows = (999, 1000, 220_000, 10**7, 10**8 - 1, 10**12)
    assert [size_category(count) for count in rows] == [
        "n<1K", "1K<n<10K", "100K<n<1M", "10M<n<100M", "10M<n<100M", "n>1T"
    ]  # fmt: skip
