"""A small adapter, for tests in which what it has learned is not the point."""

import pytest

from tests.support.models import random_adapter


@pytest.fixture(scope="session")
def tiny_adapter(tiny_base, tmp_path_factory):
    """Folder of a small random adapter of the tiny base."""
    return random_adapter(tiny_base, tmp_path_factory.mktemp("sft"), seed=1)
