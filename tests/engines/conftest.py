"""Real servers with real models, one after the other; `make engines` sets them up and runs this lane."""

from __future__ import annotations

import os
import secrets
from contextlib import closing

import pytest

from benchmarks.engine_servers import SERVER_KINDS, serving
from tests.support.models import refs

WANTED = os.environ.get("REPARTEE_ENGINES", "")
"""Names of the servers to run, with commas between."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "engines":
            item.add_marker("engines")
            item.add_marker(pytest.mark.timeout(1800))  # a server starts in it, on a machine that others use too


@pytest.fixture(scope="session")
def published(hub_url, tmp_path_factory):
    """SmolLM2 with its adapters, in every form."""
    from tests.support.served_models import publish_served

    return publish_served(f"engines-{secrets.token_hex(4)}", tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def dialogue(published, tmp_path_factory):
    """The sample's pairs, published for the same family."""
    from training.data import prepare
    from training.recipe import load

    recipe = load(f"training/recipes/{published.names.size}.yaml", [f"hub.namespace={published.names.namespace}"])
    prepare.STAGE.run(recipe, tmp_path_factory.mktemp("dialogue"))
    return recipe.names.dialogue


@pytest.fixture(scope="session", params=SERVER_KINDS)
def kind(request):
    """A server, where it is installed and asked for."""
    kind = SERVER_KINDS[request.param]
    if kind.name not in WANTED.split(","):
        pytest.skip(f"real servers are run by make engines ({kind.name} is not in REPARTEE_ENGINES)")
    if kind.missing:
        pytest.skip(kind.missing)
    return kind


@pytest.fixture(scope="session")
def running(kind, published, tmp_path_factory):
    """The server with all three variants, up until the next kind's turn."""
    with serving(kind, published.models, tmp_path_factory.mktemp(kind.name) / "log") as running:
        yield running


@pytest.fixture(scope="session")
def variants(published):
    """The same models here, in float32."""
    from chat.variants import ModelRef, load_variants

    models = published.models
    return load_variants(ModelRef(str(models.base)), refs(models.adapters), dtype="float32")


@pytest.fixture(scope="session")
def local(variants):
    """The local engine in float32, not compiled."""
    from chat.engine.local import LocalEngine

    with closing(LocalEngine(variants, "float32")) as engine:
        yield engine


@pytest.fixture
def remote(running, variants):
    """The remote engine at the server."""
    from chat.engine.openai_server import RemoteEngine

    with closing(RemoteEngine(running.servers, variants.tokenizer)) as engine:
        yield engine
