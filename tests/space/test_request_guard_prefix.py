"""The page under a path: behind a proxy that keeps the path in what it passes on, and one that takes it off."""

import re

import httpx2
import pytest

from hub.errors import UserError
from space.request_guard import without_prefix
from space.setting_readers import read_root_path
from tests.support.stage import ask, playing

KNOBS = [0.9, 25, 0.95]


@pytest.fixture(scope="module")
def stage():
    with playing(root_path="/repartee") as stage:
        yield stage


@pytest.mark.parametrize("kept", ["", "repartee/"])
def test_the_page_is_whole_whether_the_path_is_kept_or_taken_off(stage, kept):
    headers = {"X-Forwarded-Host": "films.example.org", "X-Forwarded-Proto": "https"}
    with httpx2.Client(base_url=f"{stage.url}{kept}", headers=headers, trust_env=False, timeout=60) as client:
        page = client.get("")
        assert page.status_code == 200
        assert '"root":"https://films.example.org/repartee"' in page.text.replace(" ", "")
        script = re.search(r'src="(?:https://films.example.org/repartee|\.)?/?(assets/[^"]+\.js)"', page.text)
        assert script
        assert client.get(script[1]).status_code == 200
        assert client.get("config").json()["root"] == "https://films.example.org/repartee"
        assert client.get("monitoring").status_code == 404
        index = stage.index("say")
        said = ask(client, index, ["Hello.", "base", *KNOBS, None, "", ""], "session" + kept.strip("/"))
        assert said[-1]["success"], said[-1]


def test_the_page_asked_for_without_its_last_slash_is_sent_on(stage):
    """Its files are named from where it is: from /repartee a browser would look for them at the root."""
    with stage.client() as client:
        for asked in ("repartee", "repartee?__theme=dark"):
            answer = client.get(asked, follow_redirects=False)
            assert (answer.status_code, answer.headers["Location"]) == (307, f"/{asked.replace('tee', 'tee/')}")
        page = client.get("repartee", follow_redirects=True)
        (script,) = re.findall(r'src="(\./assets/[^"]+\.js)"', page.text)
        assert client.get(page.url.join(script)).status_code == 200


def test_a_path_that_only_begins_like_it_is_another(stage):
    with stage.client() as client:
        assert client.get("reparteeXconfig").status_code == 404
        assert client.get("repartee/repartee/config").status_code == 404


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/repartee", "/"),
        ("/repartee/", "/"),
        ("/repartee/config", "/config"),
        ("/reparteeX", "/reparteeX"),
        ("/", "/"),
    ],
)
def test_the_path_is_taken_off_once(path, left):
    scope = {"path": path, "raw_path": path.encode()}
    assert without_prefix(scope, "/repartee") == {"path": left, "raw_path": left.encode()}
    assert without_prefix(scope, "") is scope


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("", ""), ("/", ""), ("/repartee", "/repartee"), ("repartee/", "/repartee"), ("/a/b/", "/a/b"),
        ("https://films.example.org/repartee/", "https://films.example.org/repartee"),
        ("https://films.example.org", "https://films.example.org"),
    ],
)  # fmt: skip
def test_the_setting_is_read_with_or_without_its_slashes(given, read):
    assert read_root_path(given, "GRADIO_ROOT_PATH") == read


@pytest.mark.parametrize("given", ["ftp://x", "/a b", "/a?b"])
def test_a_path_that_cannot_be_is_named(given):
    with pytest.raises(UserError, match="GRADIO_ROOT_PATH"):
        read_root_path(given, "GRADIO_ROOT_PATH")
