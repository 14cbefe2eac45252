"""What goes wrong while the models come to a browser: one clear line each, and nothing of it is lost or believed."""

import pytest

from tests.support.static_page import until

CORS = {"access-control-allow-origin": "*"}


def trouble(page) -> str:
    if page.locator("#download").is_visible():
        page.click("#download")
    until(page, "failed")
    said = page.locator("#trouble").inner_text()
    assert "\n" not in said
    return said


def test_another_file_than_the_published_one(opened):
    def changed(route):
        body = bytearray(route.fetch().body())
        body[-1] ^= 1
        route.fulfill(body=bytes(body), headers=CORS)

    page = opened(route=changed, service_workers="block")
    assert "is not what was published (its sha256 differs), so it was thrown away" in trouble(page)
    assert (
        page.evaluate(
            "Array.fromAsync((async function* () { yield* (await navigator.storage.getDirectory()).keys(); })())"
        )
        == []
    )


def test_a_cut_download_goes_on_where_it_was_cut(opened):
    asked, cut = [], [True]

    def half(route):
        asked.append(route.request.headers.get("range"))
        if not cut[0]:
            route.continue_()
        elif len(asked) == 1:
            body = route.fetch().body()
            route.fulfill(body=body[: len(body) // 2], headers=CORS)
        else:
            route.abort()

    page = opened(route=half, service_workers="block")
    said = trouble(page)
    assert "was cut at" in said
    assert "goes on from there" in said
    at = asked[1]
    cut[0], asked[:] = False, []
    page.reload()
    until(page, "needs")
    page.click("#download")
    until(page, "ready", "#who label:nth-of-type(3)")
    assert asked[0] == at
    assert at.startswith("bytes=")


def test_no_room(opened):
    page = opened(init="navigator.storage.estimate = async () => ({ quota: 2000000, usage: 1000000 })")
    assert "There is no room for" in trouble(page)


def test_an_old_browser(opened):
    page = opened(init="WebAssembly.validate = () => false")
    assert "its WebAssembly has no SIMD" in trouble(page)


def test_no_storage_for_files(opened):
    page = opened(init="delete StorageManager.prototype.getDirectory")
    assert "no storage for files" in trouble(page)


def test_a_hub_that_is_down(opened):
    page = opened(route=lambda route: route.abort(), service_workers="block")
    assert "does not answer. Check your connection" in trouble(page)


@pytest.mark.parametrize(("status", "word"), [(404, "it is gone, or private"), (503, "does not answer")])
def test_a_hub_that_refuses(opened, status, word):
    page = opened(route=lambda route: route.fulfill(status=status, headers=CORS), service_workers="block")
    assert word in trouble(page)
