"""Protocol: what the endpoint says about waiting."""

from eval.judge.protocol import parse_retry_after


def test_retry_after():
    assert parse_retry_after("1.5") == 1.5
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert parse_retry_after(None) is None
    assert parse_retry_after("-3") == 0
