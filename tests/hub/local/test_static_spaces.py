"""Static Spaces: their files at an origin of their own, with the headers of their card, and nothing of the Hub's."""

import httpx2
import pytest
from huggingface_hub import HfApi

from hub.local.static_spaces import DOMAIN, isolating_headers, static_host, subdomain

ISOLATED = {"cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp"}
CARD = """---
title: Page
sdk: static
custom_headers:
  cross-origin-opener-policy: same-origin
  cross-origin-embedder-policy: require-corp
  set-cookie: a=b
---
"""


@pytest.fixture
def space(hub_url, namespace):
    api, name = HfApi(), f"{namespace}/my_page"
    api.create_repo(name, repo_type="space", space_sdk="static")
    assert api.get_space_runtime(name).stage == "NO_APP_FILE"
    files = {
        "README.md": CARD,
        "index.html": "<h1>here</h1>",
        "deep/index.html": "deep",
        "run.mjs": "1",
        "run.wasm": "\0asm",
    }
    for path, content in files.items():
        api.upload_file(path_or_fileobj=content.encode(), path_in_repo=path, repo_id=name, repo_type="space")
    return name


def ask(hub_url, space, path="/", **options):
    """A request as a browser sends it to the Space's host."""
    host = static_host(hub_url, space).removeprefix("http://")
    headers = {"host": host, **options.pop("headers", {})}
    return httpx2.request(options.pop("method", "GET"), hub_url + path, headers=headers, **options)


def test_files_come_with_the_headers_of_the_card(hub_url, space):
    page = ask(hub_url, space)
    assert (page.text, page.headers["content-type"]) == ("<h1>here</h1>", "text/html; charset=utf-8")
    assert {name: page.headers.get(name) for name in ISOLATED} == ISOLATED
    assert "set-cookie" not in page.headers
    assert ask(hub_url, space, headers={"if-none-match": page.headers["etag"]}).status_code == 304
    assert ask(hub_url, space, "/deep").text == "deep"
    assert ask(hub_url, space, "/run.mjs").headers["content-type"] == "text/javascript; charset=utf-8"
    assert ask(hub_url, space, "/run.wasm").headers["content-type"] == "application/wasm"
    head = ask(hub_url, space, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


def test_it_runs_and_says_where(hub_url, space):
    info = HfApi().space_info(space)
    assert info.runtime.stage == "RUNNING"
    assert info.host == static_host(hub_url, space)
    assert info.subdomain == subdomain(space)
    assert info.host in httpx2.get(f"{hub_url}/spaces/{space}").text


def test_nothing_of_the_hub_is_at_that_origin(hub_url, space):
    for path in ("/api/models", "/%2e%2e/README.md", f"/spaces/{space}", "/nothing"):
        assert ask(hub_url, space, path).status_code == 404, path
    assert ask(hub_url, space, "/api/repos/create", method="POST", json={}).status_code == 405
    assert "<h1>" not in httpx2.get(hub_url, headers={"host": f"nobody.{DOMAIN}"}).text


def test_private_and_other_spaces_are_not_there(hub_url, space, namespace):
    api = HfApi()
    api.update_repo_settings(space, repo_type="space", private=True)
    assert ask(hub_url, space).status_code == 404
    api.create_repo(f"{namespace}/run", repo_type="space", space_sdk="gradio")
    assert "no static Space" in ask(hub_url, f"{namespace}/run").text


def test_two_of_one_name_in_addresses_are_neither(hub_url, space, namespace):
    HfApi().create_repo(f"{namespace}/my-page", repo_type="space", space_sdk="static")
    assert ask(hub_url, space).status_code == 404


def test_only_the_three_headers_and_plain_values():
    given = {"Cross-Origin-Opener-Policy": "same-origin", "cross-origin-embedder-policy": "a\r\nb: c", "x-y": "z"}
    assert isolating_headers({"custom_headers": given}) == {"cross-origin-opener-policy": "same-origin"}
    assert isolating_headers({"custom_headers": ["x"]}) == isolating_headers({}) == {}


def test_any_page_may_download_what_anybody_may(hub_url, space):
    file = httpx2.get(f"{hub_url}/spaces/{space}/resolve/main/index.html", headers={"origin": "http://other"})
    assert file.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in httpx2.get(f"{hub_url}/api/models").headers
