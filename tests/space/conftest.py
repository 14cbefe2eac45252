"""A Space to visit: models on the local Hub, app.py in a process of its own with a slowed engine, and a browser."""

from __future__ import annotations

import json
import secrets
import shutil

import pytest

from tests.support.space_process import SLOWED, opened
from tests.support.stage import playing, publish_evaluation


@pytest.fixture(scope="session")
def family(hub_url, starter, adapters, tmp_path_factory):
    """A namespace with the starter and two random adapters on it, as the training would publish them."""
    from huggingface_hub import HfApi

    api, namespace = HfApi(), f"space-{secrets.token_hex(4)}"
    base = f"{namespace}/repartee-starter"
    api.create_repo(base)
    api.upload_folder(repo_id=base, folder_path=starter)
    for kind, trained in adapters.items():
        folder = shutil.copytree(trained, tmp_path_factory.mktemp(kind), dirs_exist_ok=True)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
        api.create_repo(f"{namespace}/repartee-starter-{kind}")
        api.upload_folder(repo_id=f"{namespace}/repartee-starter-{kind}", folder_path=folder)
    publish_evaluation(namespace, tmp_path_factory.mktemp("evaluation"))
    return namespace


@pytest.fixture(scope="session")
def space(family, tmp_path_factory):
    """The real app.py in a process of its own; only its engine is slowed."""
    folder = tmp_path_factory.mktemp("space")
    (folder / "slowed.py").write_text(SLOWED)
    with opened(family, folder, folder / "slowed.py") as served:
        yield served
    if kept := served.kept():  # a Space that is told to end pushes what it still has
        from hub.votes.vote import votes

        assert sorted(vote.comparison for vote in votes(served.votes)) == sorted(row["comparison"] for row in kept)


@pytest.fixture(scope="module")
def stage():
    """The page with an engine that says back what it is told, in this process; one for each file of tests."""
    with playing() as stage:
        yield stage


@pytest.fixture
def page(visit, space):
    with visit(space.url) as page:
        yield page
