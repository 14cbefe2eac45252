"""Whom the local Hub listens to, and whom it knows."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub.errors import UserError
from hub.local.errors import HubError
from hub.local.tokens import Access, Tokens, add_token, token_of, tokens_of
from tests.support import warm_hub
from tests.support.warm_hub import LOCAL_HUB, running, serving


@pytest.mark.parametrize(("options", "open_to_others"), [((), False), (("--host", "0.0.0.0"), True)])
def test_it_listens_to_this_machine_unless_told_otherwise(tmp_path, options, open_to_others):
    with serving(tmp_path, *options) as (_, url):
        port = url.rsplit(":", 1)[1]
        assert httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200
        try:
            answered = httpx2.get(f"http://127.0.0.2:{port}/").status_code == 200  # an address that is not the default
        except httpx2.ConnectError:
            answered = False
    assert answered == open_to_others


def test_a_new_token_is_known_at_once(tmp_path):
    with running(tmp_path) as url:
        for role, status in (("read", 403), ("write", 200)):
            arguments = ("token", "--data", tmp_path, "--role", role, "--user", "me")
            token = warm_hub.run(LOCAL_HUB, *arguments, folder=tmp_path).stdout.strip()
            api = HfApi(url, token)
            assert (api.whoami()["name"], api.whoami()["auth"]["accessToken"]["role"]) == ("me", role)
            if status == 403:
                with pytest.raises(HfHubHTTPError, match="403"):
                    api.create_repo("me/x")
            else:
                api.create_repo("me/x")
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    assert os.environ.get("HF_TOKEN") != token


def test_eight_commands_at_once_lose_no_token(tmp_path):
    command = [sys.executable, "-m", "hub.local", "token", "--data", str(tmp_path / "hub")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    made = {process.communicate()[0].strip() for process in started}
    assert len(made) == 8
    assert made < tokens_of(tmp_path / "hub").keys()
    assert len(tokens_of(tmp_path / "hub")) == 9


def test_tokens_made_at_once_are_all_kept(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: add_token(tmp_path / "hub", "guest", "read"), range(8)))
    assert len(made) == 8
    assert made <= tokens_of(tmp_path / "hub").keys()
    assert len(tokens_of(tmp_path / "hub")) == 9  # and the first run's own


def test_a_token_pasted_with_white_space_is_the_token(tmp_path):
    tokens_of(tmp_path)
    assert Tokens(tmp_path, " hf_mine\n").access("hf_mine")
    assert not Tokens(tmp_path, " \n").access("")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '"a"', '{"a": 5}', '{"a": {"user": "x", "role": "admin"}}', '{"a": {"usr": "x"}}', "\xff"],
)
def test_a_file_of_tokens_that_was_changed_to_something_else_is_one_line(tmp_path, content):
    """And nothing is lost of it: who mends it has their tokens."""
    (tmp_path / "tokens.json").write_text(content, "latin-1")
    for call in (
        tokens_of,
        token_of,
        lambda data: add_token(data, "me", "read"),
        lambda data: Tokens(data).access("a"),
    ):
        with pytest.raises((UserError, HubError), match=r"tokens\.json (holds no tokens|is no UTF-8)") as caught:
            call(tmp_path)
        assert "\n" not in str(caught.value)
    done = warm_hub.run(LOCAL_HUB, "run", "--data", tmp_path, "--", "true", folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert (tmp_path / "tokens.json").read_text("latin-1") == content


def test_a_file_of_tokens_saved_again_and_one_that_writes_for_commands(tmp_path):
    kept = {"hf_one": {"user": "guest", "role": "read"}, "hf_two": {"user": "ann"}, "hf_three": "bo"}
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "tokens.json").write_bytes(json.dumps(kept, indent=1).replace("\n", "\r\n").encode(encoding))
        assert tokens_of(tmp_path) == kept
        assert Tokens(tmp_path).access("hf_two") == Access("ann", "write")
        assert token_of(tmp_path) == "hf_two"
