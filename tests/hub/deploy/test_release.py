"""Releases: one tag over the family, completed after a kill, and one collection."""

import pytest
from huggingface_hub import HfApi

from hub.deploy.release import Member, family, next_tag, release
from hub.errors import UserError
from hub.lineage import Lineage
from hub.names import Names
from hub.publish import publish


def member(name: str, head: str, **tags: str) -> Member:
    return Member(name, "model", head, tags)


@pytest.mark.parametrize(
    ("members", "tag", "lacking"),
    [
        ([member("a", "1"), member("b", "1")], "v1", "ab"),
        ([member("a", "1", v1="1"), member("b", "1")], "v1", "b"),  # killed on the way
        ([member("a", "1", v1="1"), member("b", "1", v1="1")], "v1", ""),
        ([member("a", "2", v1="1"), member("b", "1", v1="1")], "v2", "ab"),
        ([member("a", "2", v1="1", v2="2"), member("b", "1", v1="1")], "v2", "b"),
        ([member("a", "9", v9="8", v10="9"), member("b", "1", v10="1", vX="0", v01="3")], "v10", ""),
    ],
)
def test_which_release_is_next(members, tag, lacking):
    found, left = next_tag(members)
    assert found == tag
    assert "".join(one.repo for one in left) == lacking


def test_a_family_is_tagged_and_collected(namespace, capsys):
    names, api = Names(namespace, "starter"), HfApi()
    with pytest.raises(UserError, match="nothing of"):
        release(names)
    for repo, type in ((names.dialogue, "dataset"), (names.adapter("sft"), "model")):
        publish(repo, type, {"a": b"1"}, Lineage("test", {}, ()), "m")
    assert release(names, dry_run=True) == "v1"
    assert not family(names)[0].tags
    assert release(names) == release(names) == "v1"
    assert all(one.tags == {"v1": one.head} for one in family(names))
    publish(names.adapter("dpo"), "model", {"a": b"1"}, Lineage("test", {}, ()), "m")
    assert release(names) == "v1"  # nothing that has it has moved
    publish(names.adapter("dpo"), "model", {"a": b"2"}, Lineage("test", {}, ()), "m")
    assert release(names) == "v2"
    slug = capsys.readouterr().out.split("collection ")[-1].strip()
    items = [(item.item_id, item.item_type) for item in api.get_collection(slug).items]
    assert items == [(names.dialogue, "dataset"), (names.adapter("sft"), "model"), (names.adapter("dpo"), "model")]
