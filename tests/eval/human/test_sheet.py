"""Rating sheets: blind, in an order of their own, safe, and with something to choose."""

import json

import numpy as np
import pytest

from eval.human import sheet
from eval.human.sheet import SheetItem
from hub.errors import UserError
from tests.support.studies import sheet_items


def test_sheets_name_no_model_and_the_key_knows_all(sheets, tmp_path):
    *pages, key = sheet.write_sheets(sheets, {"evaluation": "n/e"}, tmp_path / "study")
    assert [path.name for path in pages] == ["sheet-ann.html", "sheet-bo.html"]
    for path in pages:
        data = path.read_text().split('id="data">')[1].split("</script>")[0]
        assert not [variant for variant in ("base", "sft", "dpo", "L1") if variant in data]
        told = json.loads(data)
        for shown in told["items"]:
            entry = sheets.key[shown["id"]]
            item = next(item for item in sheet_items(20) if item.id == entry["item"])
            assert shown["lines"] == item.lines
            for text, variants in zip(shown["options"], entry["voices"], strict=True):
                assert {item.replies[variant] for variant in variants} == {text}
    assert sheets.all_alike == ["alike"]
    assert json.loads(key.read_text())["shown"] == sheets.key
    with pytest.raises(UserError, match="there already"):
        sheet.write_sheets(sheets, {}, tmp_path / "study")


def test_repeats_come_later_and_in_an_order_of_their_own():
    made = sheet.make_sheets(sheet_items(200), ["ann"], "seed", repeats=0.5)
    order = [(made.key[shown["id"]]["item"], made.key[shown["id"]]["copy"]) for shown in made.pages["ann"]]
    assert [copy for _, copy in order] == [0] * 200 + [1] * 100
    first = {item: place for place, (item, copy) in enumerate(order) if copy == 0}
    assert all(place - first[item] >= 100 for place, (item, copy) in enumerate(order) if copy)
    by_item = {}
    for entry in made.key.values():
        by_item.setdefault(entry["item"], []).append(entry["voices"])
    twice = [both for both in by_item.values() if len(both) == 2]
    assert 0.3 < np.mean([one == other for one, other in twice if len(one) == 2]) < 0.7


def test_a_reply_cannot_break_out_of_the_page(tmp_path):
    hostile = SheetItem("x", ["</script><script>alert(1)</script>"], {"base": "<!--", "sft": "<img src=x>"})
    (page, _) = sheet.write_sheets(sheet.make_sheets([hostile], ["ann"], "s"), {}, tmp_path)
    assert page.read_text().count("</script>") == 2
    assert "alert(1)<" not in page.read_text()


def test_controls_are_on_the_sheet_but_nobody_is_asked_about_them_alone():
    controls = {"film": "c", "shuffled": "d"}
    items = [
        SheetItem("x", ["?"], {"base": "a", "sft": "b", **controls}),
        SheetItem("y", ["?"], {"base": "a", "sft": "a", **controls}),
    ]
    made = sheet.make_sheets(items, ["ann"], "s")
    assert made.all_alike == ["y"]
    (shown,) = made.pages["ann"]
    assert sorted(shown["options"]) == ["a", "b", "c", "d"]


def test_nothing_to_choose_is_said():
    with pytest.raises(ValueError, match="alike"):
        sheet.make_sheets([SheetItem("x", ["?"], {"base": "a", "sft": "a "})], ["ann"], "s")
