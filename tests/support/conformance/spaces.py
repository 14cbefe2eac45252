"""Rows of HfApi about collections and Spaces."""

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.support.conformance import Hub, row

HFAPI = "huggingface_hub"


@row(HFAPI, "HfApi.create_collection, get_collection, delete_collection", "a second of the same title is 409")
def collection(hub: Hub):
    made = hub.api.create_collection("Film lines", namespace=hub.namespace, description="d", private=True)
    assert hub.api.create_collection("Film lines", namespace=hub.namespace, exists_ok=True).slug == made.slug
    with pytest.raises(HfHubHTTPError):
        HfApi(token=False).get_collection(made.slug)
    hub.api.delete_collection(made.slug)
    with pytest.raises(HfHubHTTPError):
        hub.api.get_collection(made.slug)
    hub.api.delete_collection(made.slug, missing_ok=True)


@row(HFAPI, "HfApi.add_collection_item, update_collection_item, delete_collection_item", "notes and order")
def items(hub: Hub):
    one, two = hub.repo(name="one"), hub.repo("dataset", "two")
    slug = hub.api.create_collection("Items", namespace=hub.namespace).slug
    hub.api.add_collection_item(slug, one, "model", note="first")
    found = hub.api.add_collection_item(slug, two, "dataset")
    hub.api.update_collection_item(slug, found.items[1].item_object_id, position=0, note="now first")
    items = hub.api.get_collection(slug).items
    assert [(item.item_id, item.position, item.note) for item in items] == [(two, 0, "now first"), (one, 1, "first")]
    hub.api.delete_collection_item(slug, items[0].item_object_id)
    assert [(item.item_id, item.position) for item in hub.api.get_collection(slug).items] == [(one, 0)]


@row(HFAPI, "HfApi.update_collection_metadata, list_collections", "title, theme; by owner and by item")
def collection_metadata(hub: Hub):
    name = hub.repo()
    slug = hub.api.create_collection("Old", namespace=hub.namespace).slug
    hub.api.add_collection_item(slug, name, "model")
    assert hub.api.update_collection_metadata(slug, title="New", theme="green").theme == "green"
    for query in ({"owner": hub.namespace}, {"item": f"models/{name}"}):
        assert [found.title for found in hub.api.list_collections(**query)] == ["New"]


@row(HFAPI, "HfApi.add_space_secret, get_space_secrets, delete_space_secret", "names and dates come back, values never")
def secrets(hub: Hub):
    name = hub.repo("space")
    hub.api.add_space_secret(name, "KEY", "hf_of_nobody", description="d")
    listed = hub.api.get_space_secrets(name)
    assert listed["KEY"].description == "d"
    assert "hf_of_nobody" not in str(vars(listed["KEY"]))
    hub.api.delete_space_secret(name, "KEY")
    assert hub.api.get_space_secrets(name) == {}


@row(HFAPI, "HfApi.add_space_variable, get_space_variables, delete_space_variable", "values come back")
def variables(hub: Hub):
    name = hub.repo("space")
    hub.api.add_space_variable(name, "A", "1")
    assert hub.api.get_space_variables(name)["A"].value == "1"
    assert hub.api.delete_space_variable(name, "A") == {}


@row(HFAPI, "HfApi.get_space_runtime, pause_space, restart_space, wait_for_space", "honest stages without a runner")
def runtime(hub: Hub):
    name = hub.repo("space", app_py="1")
    assert hub.api.get_space_runtime(name).stage == "STOPPED"
    assert hub.api.pause_space(name).stage == "PAUSED"
    assert hub.api.restart_space(name, factory_reboot=True).stage == "STOPPED"
    assert hub.api.wait_for_space(name).stage == "STOPPED"


@row(HFAPI, "HfApi.request_space_hardware, set_space_sleep_time, list_spaces_hardware", "kept and answered")
def hardware(hub: Hub):
    name = hub.repo("space")
    assert hub.api.request_space_hardware(name, "zero-a10g").requested_hardware == "zero-a10g"
    assert hub.api.set_space_sleep_time(name, 600).sleep_time == 600
    assert [kind.name for kind in hub.api.list_spaces_hardware()] == ["cpu-basic"]


@row(HFAPI, "HfApi.fetch_space_logs", "ends where nothing runs; a running Space is in tests/hub/local/test_spaces.py")
def logs(hub: Hub):
    assert list(hub.api.fetch_space_logs(hub.repo("space"))) == []
