"""Names of the published repositories."""

import pytest

from hub.names import Names, published_address


def test_names():
    names = Names("me", "qwen2.5-3b")
    assert (names.dialogue, names.votes) == ("me/repartee-dialogue", "me/repartee-votes")
    assert (names.base, Names("me", "starter").base) == ("me/repartee-qwen2.5-3b-base", "me/repartee-starter")
    assert (names.preferences, names.evaluation) == (
        "me/repartee-qwen2.5-3b-preferences",
        "me/repartee-qwen2.5-3b-evaluation",
    )
    assert (names.adapter("dpo"), names.space) == ("me/repartee-qwen2.5-3b-dpo", "me/repartee")


@pytest.mark.parametrize(
    ("address", "published"),
    [
        ("http://127.0.0.1:41234/v1", "http://localhost"),
        ("http://localhost:8000/v1", "http://localhost"),
        ("http://[::1]:8000/v1", "http://localhost"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("http://judge.example:8000/v1", "http://judge.example:8000/v1"),
        ("http://127.0.0.2:1", "http://localhost"),
        ("http://owner-name.static.localhost:8765/", "http://localhost"),
        ("https://me:secret@judge.example:8000/v1?a=b", "https://judge.example:8000/v1?a=b"),
        (None, None),
    ],
)
def test_the_port_of_the_day_is_not_published(address, published):
    assert published_address(address) == published
