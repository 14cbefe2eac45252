"""A client of the local Hub, and a repository on it."""

import pytest
from huggingface_hub import HfApi


@pytest.fixture
def api(hub_url):
    return HfApi()


@pytest.fixture
def repo(api, namespace):
    name = f"{namespace}/repo"
    api.create_repo(name)
    return name
