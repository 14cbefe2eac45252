"""Collections of the local Hub, through huggingface_hub."""

import pytest
from huggingface_hub.errors import HfHubHTTPError


def test_collections(api, namespace):
    api.create_repo(f"{namespace}/x")
    made = api.create_collection("Repartee", namespace=namespace, description="All of it")
    assert api.create_collection("Repartee", namespace=namespace, exists_ok=True).slug == made.slug
    for _ in range(2):
        api.add_collection_item(made.slug, f"{namespace}/x", "model", note="first", exists_ok=True)
    with pytest.raises(HfHubHTTPError):
        api.add_collection_item(made.slug, f"{namespace}/none", "model")
    found = api.get_collection(made.slug)
    assert [(item.item_id, item.item_type, item.note) for item in found.items] == [(f"{namespace}/x", "model", "first")]


def test_a_new_title_has_a_new_address_and_the_old_one_stays_good(api, namespace):
    old = api.create_collection("First title", namespace=namespace).slug
    new = api.update_collection_metadata(old, title="Second, title").slug
    assert new.startswith(f"{namespace}/second-title-")
    assert new.rsplit("-", 1)[1] == old.rsplit("-", 1)[1]
    assert api.get_collection(old).slug == api.get_collection(new).slug == new
    assert api.create_collection("Second, title", namespace=namespace, exists_ok=True).slug == new
    assert api.create_collection("First title", namespace=namespace).slug != old
