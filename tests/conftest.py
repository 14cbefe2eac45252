"""Every test runs against one local Hub, over real HTTP. huggingface_hub reads its address at import: set it first."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from hub.local import client_environment, free_port, running

_FOLDER = Path(tempfile.mkdtemp(prefix="repartee-tests-"))
_PORT = free_port()
os.environ.pop("HF_TOKEN", None)
os.environ.update(client_environment(f"http://127.0.0.1:{_PORT}", _FOLDER / "hub"))
os.environ.update(
    HF_HOME=str(_FOLDER / "home"),
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "2"),
    TOKENIZERS_PARALLELISM="false",
    TQDM_DISABLE="1",
)


def pytest_unconfigure():
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def hub_url():
    """The address of the local Hub, which starts when the first test asks for it and dies with this process."""
    with running(_FOLDER / "hub", _PORT) as url:
        yield url


@pytest.fixture
def namespace(hub_url):
    """A namespace that nobody else writes to."""
    return f"ns-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def starter():
    """The folder of the starter base model."""
    return Path(__file__).parent.parent / "training" / "starter"
