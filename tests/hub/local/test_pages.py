"""The local Hub's pages: what they show, that nothing in a card can act, and that they fit a telephone."""

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from hub.local.markdown import body_of, render

EVIL = """---
license: mit
tags: ["<script>alert(1)</script>"]
---
# Title of the card

<script>alert(1)</script> <img src=x onerror=alert(1)> <b onclick="alert(1)">raw</b>

<!-- left out -->

[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](vbscript:x) <javascript:alert(1)>

![losses](figures/losses.png) [lineage](lineage.json) [up](../../../../api/whoami-v2) [out](https://example.com)
[top](#title)

| a | b |
|---|--:|
| 1 | 2 |
"""


@pytest.fixture
def repo(hub_url, namespace):
    api, name = HfApi(), f"{namespace}/shown"
    api.create_repo(name)
    files = {
        "README.md": EVIL.replace("Title", "First title"),
        "d/a.py": "x = '<i>'\n",
        "w.bin": "\0" * 50_000,
        "<b>.txt": "1",
    }
    adds = [CommitOperationAdd(path, text.encode()) for path, text in files.items()]
    api.create_commit(name, adds, commit_message="One <i>commit</i>", commit_description="and why")
    api.upload_file(path_or_fileobj=EVIL.encode(), path_in_repo="README.md", repo_id=name, commit_message="Another")
    api.create_tag(name, tag="v1")
    return name


def test_markdown_is_rendered_and_raw_html_is_text():
    html = render(body_of(EVIL), "/ns/shown", "main")
    assert "<h1>Title of the card</h1>" in html
    assert '<td class="right">2</td>' in html
    assert "left out" not in html
    assert "license" not in html
    for tag in ("<script", "<img src=x", "<b ", 'href="java', 'href="data', 'href="vb', "style="):
        assert tag not in html, tag
    assert "&lt;script&gt;" in html
    assert 'src="/ns/shown/resolve/main/figures/losses.png"' in html
    assert 'href="/ns/shown/blob/main/lineage.json"' in html
    assert 'href="/ns/shown/blob/main/api/whoami-v2"' in html  # climbs to the root of the repository at most
    assert 'href="https://example.com"' in html
    assert render("[x](y.md)", "/ns/shown", "a/b", "docs").count('href="/ns/shown/blob/a%2Fb/docs/y.md"') == 1
    assert body_of("no front matter\n---\n") == "no front matter\n---\n"


def test_what_a_card_folds_away_is_folded_and_nothing_more_gets_through():
    text = """<details><summary>Settings & <b>more</b></summary>

```yaml
a: <details>
```

| a |
|---|
| 1 |

</details>

<details open onclick="x"> <summary class="y">
"""
    html = render(text, "/ns/shown", "main")
    assert html.startswith("<details><summary>Settings &amp; &lt;b&gt;more&lt;/b&gt;</summary>")
    assert html.count("<details>") == html.count("</details>") == 1
    assert "&lt;details open onclick=" in html
    assert '<div class="scrolls" tabindex="0" role="region" aria-label="Table"><table>' in html
    assert html.count("</table></div>") == html.count('<pre tabindex="0">') == 1


def test_sign_in_explains_itself(hub_url):
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = httpx2.get(f"{hub_url}/sign-in", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="the local Hub"')
        assert "python -m hub.local token" in answer.text


def test_every_page_shows_what_it_should_and_lets_nothing_act(hub_url, namespace, repo):
    api = HfApi()
    sha = api.model_info(repo).sha
    slug = api.create_collection("Family <b>", namespace=namespace).slug
    api.add_collection_item(slug, repo, "model", note="the <i>first</i>")
    for path, shows in (
        ("/", repo),
        (f"/{namespace}", repo),
        (f"/{repo}", "Title of the card"),
        (f"/{repo}/tree/main", "d/"),
        (f"/{repo}/tree/v1/d", "a.py"),
        (f"/{repo}/blob/main/d/a.py", "x = &#39;&lt;i&gt;&#39;"),
        (f"/{repo}/blob/main/README.md", "Title of the card"),
        (f"/{repo}/blob/main/w.bin", "download it"),
        (f"/{repo}/blob/main/%3Cb%3E.txt", "&lt;b&gt;.txt"),
        (f"/{repo}/commits/main", "One &lt;i&gt;commit&lt;/i&gt;"),
        (f"/{repo}/commit/{sha}", "-# First title of the card"),
        (f"/collections/{slug}", "the &lt;i&gt;first&lt;/i&gt;"),
    ):
        answer = httpx2.get(hub_url + path)
        assert answer.status_code == 200, path
        assert shows in answer.text, path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        for tag in ("<script", "<i>", "<b>", "onerror=alert(1)>"):
            assert tag not in answer.text, (path, tag)
    for path in (f"/{repo}/blob/main/none", f"/{repo}/tree/main/none", "/nobody-here", f"/{repo}/commits/none"):
        missing = httpx2.get(hub_url + path, headers={"Accept": "text/html"})
        assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/html; charset=utf-8"), path


def test_content_is_never_served_as_a_page(hub_url, repo):
    HfApi().upload_file(path_or_fileobj=b"<script>alert(1)</script>", path_in_repo="x.html", repo_id=repo)
    for view, kind in (("resolve", "application/octet-stream"), ("raw", "text/plain; charset=utf-8")):
        answer = httpx2.get(f"{hub_url}/{repo}/{view}/main/x.html")
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_fit_and_run_no_script(hub_url, repo, browser):
    sha = HfApi().model_info(repo).sha
    said: list[str] = []
    for width in (1280, 360):
        tab = browser.new_page(viewport={"width": width, "height": 800})
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        for path in ("/", f"/{repo}", f"/{repo}/tree/main", f"/{repo}/blob/main/d/a.py", f"/{repo}/commit/{sha}"):
            tab.goto(hub_url + path)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
            style = tab.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")
            assert style == "864px"  # it has its CSS
        tab.close()
    assert not said
