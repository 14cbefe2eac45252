"""Whom the local Hub listens to, and whom it knows."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from hub.local.tokens import Tokens, add_token, tokens_of
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
