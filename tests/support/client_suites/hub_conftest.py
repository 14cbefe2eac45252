"""Fixtures of huggingface_hub's own tests, which its sdist leaves out; copied there as `conftest.py`.

Written after the names by which its tests ask for them. `api` and `repo_factory` go to the local Hub.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.hf_api import RepoUrl

from . import testing_constants
from .testing_utils import repo_name

testing_constants.ENDPOINT_STAGING = os.environ["HF_ENDPOINT"]
RepoFactory = Callable[..., RepoUrl]
MARKERS = ("api", "transfer", "inference", "xet", "no_xet", "production", "deprecated(name)", "git_lfs")


def pytest_configure(config: pytest.Config) -> None:
    for name in MARKERS:
        config.addinivalue_line("markers", f"{name}: of huggingface_hub's tests")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in ("production", "xet", "git_lfs"):
        if item.get_closest_marker(name):
            pytest.skip(f"needs what is not here: {name}")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees another's cache, or a token of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", f"{folder}/token")
        monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", f"{folder}/stored_tokens")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", f"{folder}/hub")
        monkeypatch.setattr(constants, "HF_XET_CACHE", f"{folder}/xet")
        monkeypatch.setattr(constants, "HF_ASSETS_CACHE", f"{folder}/assets")
        yield


@pytest.fixture(autouse=True)
def of_a_class(request: pytest.FixtureRequest, tmp_path: Any) -> None:
    """Where tests of classes look for it."""
    if request.instance is not None:
        request.instance.cache_dir = tmp_path / "cache"


@pytest.fixture(scope="session")
def api() -> HfApi:
    return HfApi(endpoint=testing_constants.ENDPOINT_STAGING, token=testing_constants.TOKEN)


@pytest.fixture
def new_repo_id(api: HfApi) -> Iterator[str]:
    """A name that no repository has yet; what the test makes under it is removed."""
    name = f"{testing_constants.USER}/{repo_name()}"
    yield name
    api.delete_repo(name, missing_ok=True)


@pytest.fixture
def repo_factory(api: HfApi) -> Iterator[RepoFactory]:
    """Makes repositories, and removes them after the test."""
    made: list[tuple[RepoUrl, Any]] = []

    def make(repo_type: str = "model", repo_id: str | None = None, token: Any = None, **options: Any) -> RepoUrl:
        url = api.create_repo(repo_id or repo_name(), repo_type=repo_type, token=token, **options)
        made.append((url, token))
        return url

    yield make
    for url, token in made:
        api.delete_repo(url.repo_id, repo_type=url.repo_type, token=token, missing_ok=True)
