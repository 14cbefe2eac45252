"""Sheets of a small study."""

import pytest

from eval.human import sheet
from eval.human.sheet import SheetItem
from tests.support.studies import STUDY_VARIANTS, sheet_items


@pytest.fixture
def sheets():
    return sheet.make_sheets(
        [*sheet_items(20), SheetItem("alike", ["x"], dict.fromkeys(STUDY_VARIANTS, "Yes."))], ["ann", "bo"], "seed"
    )
