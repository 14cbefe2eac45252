"""Names of the published repositories."""

from hub.names import Names


def test_names():
    names = Names("me", "qwen2.5-3b")
    assert [names.dialogue, names.starter, names.votes] == [
        f"me/repartee-{n}" for n in ("dialogue", "starter", "votes")
    ]
    assert (names.preferences, names.evaluation) == (
        "me/repartee-qwen2.5-3b-preferences",
        "me/repartee-qwen2.5-3b-evaluation",
    )
    assert (names.adapter("dpo"), names.space) == ("me/repartee-qwen2.5-3b-dpo", "me/repartee")
