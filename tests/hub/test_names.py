"""Names of the published repositories."""

from hub.names import Names


def test_names():
    names = Names("me", "qwen2.5-3b")
    assert (names.dialogue, names.votes) == ("me/repartee-dialogue", "me/repartee-votes")
    assert (names.base, Names("me", "starter").base) == ("me/repartee-qwen2.5-3b-base", "me/repartee-starter")
    assert (names.preferences, names.evaluation) == (
        "me/repartee-qwen2.5-3b-preferences",
        "me/repartee-qwen2.5-3b-evaluation",
    )
    assert (names.adapter("dpo"), names.space) == ("me/repartee-qwen2.5-3b-dpo", "me/repartee")
