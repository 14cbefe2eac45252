"""Fixtures of datasets' own tests, which its sdist leaves out; copied there as `conftest.py`."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from .fixtures.hub import CI_HUB_ENDPOINT, CI_HUB_USER, CI_HUB_USER_TOKEN


def pytest_configure(config: pytest.Config) -> None:
    for name in ("integration", "unit"):
        config.addinivalue_line("markers", f"{name}: of datasets' tests")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def ci_hub_config() -> None:
    """The address is in the environment already."""


@pytest.fixture
def set_ci_hub_access_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_TOKEN", CI_HUB_USER_TOKEN)


@pytest.fixture(scope="session")
def hf_api() -> HfApi:
    return HfApi(endpoint=CI_HUB_ENDPOINT)


@pytest.fixture(scope="session")
def hf_token() -> str:
    return CI_HUB_USER_TOKEN


@pytest.fixture
def cleanup_repo(hf_api: HfApi) -> Callable[[str], None]:
    return lambda name: hf_api.delete_repo(name, token=CI_HUB_USER_TOKEN, repo_type="dataset", missing_ok=True)


@pytest.fixture
def temporary_repo(cleanup_repo: Callable[[str], None]) -> Any:
    @contextmanager
    def make(name: str | None = None) -> Iterator[str]:
        name = name or f"{CI_HUB_USER}/test-dataset-{time.time_ns()}"
        try:
            yield name
        finally:
            cleanup_repo(name)

    return make


@pytest.fixture
def temporary_bucket() -> None:
    pytest.skip("buckets are not supported")


@pytest.fixture
def csv_path(tmp_path: Path) -> str:
    path = tmp_path / "dataset.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, 2], [3, 4]])
    return str(path)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "file.txt"
    path.write_text("one\ntwo\n")
    return str(path)
