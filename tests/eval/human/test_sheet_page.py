"""The raters' sheet in a browser, opened from a file with nothing else beside it."""

import pytest

from eval.human import sheet, sheet_votes
from eval.human.sheet import SheetItem


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    yield page
    page.close()


def test_a_rater_chooses_comes_back_and_saves(page, tmp_path):
    hostile = "<img src=x onerror=\"document.title='gone'\">"
    items = [
        SheetItem(f"L{n}", [f"Line {n}?", hostile], {"base": "Yes.", "sft": hostile, "dpo": "No."}) for n in range(6)
    ]
    made = sheet.make_sheets(items, ["ann"], "seed", repeats=0.5)
    path, key = sheet.write_sheets(made, {"evaluation": "n/e"}, tmp_path)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    assert page.locator("ol button").count() == 3
    assert page.locator("ol button", has_text=hostile).count() == 1  # shown as text
    page.keyboard.press("2")
    page.keyboard.press("t")
    page.locator("ol button").first.click()
    page.get_by_text("Skip").click()
    page.locator("#back").click()
    page.locator("#back").click()  # the third: thinks again
    page.keyboard.press("3")
    page.reload()
    assert page.locator("#count").inner_text() == "5 of 9, 4 answered"
    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    given, counts, _ = sheet_votes.read_votes([saved], key)
    assert (counts["rows"], counts["votes"], counts["ties"], counts["skipped"]) == (4, 3, 1, 1)
    shown = [made.key[entry["id"]] for entry in made.pages["ann"]]
    assert [vote.item for vote in given] == [entry["item"] for entry in shown[:3]]
    assert given[0].chosen == tuple(shown[0]["voices"][1])
    assert given[2].chosen == tuple(shown[2]["voices"][2])
    assert page.title() == "Which line comes next?"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert set(requests) <= {path.as_uri()}
