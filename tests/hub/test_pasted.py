"""Keys and tokens as people paste them."""

import os
import subprocess
import sys

import pytest

from hub.errors import UserError
from hub.pasted import pasted_secret


@pytest.mark.parametrize(("set_to", "found"), [(" k-1\n", "k-1"), ("\ufeffk-1\u200b", "k-1"), ("\r\n", ""), ("", "")])
def test_white_space_at_the_ends_is_no_part_of_a_key(monkeypatch, set_to, found):
    monkeypatch.setenv("SOME_KEY", set_to)
    assert pasted_secret("SOME_KEY") == found
    monkeypatch.delenv("SOME_KEY")
    assert pasted_secret("SOME_KEY") == ""


@pytest.mark.parametrize("set_to", ["k 1", "k\n1", "k\u00e9"])
def test_a_key_that_no_header_can_hold_is_named_and_not_shown(monkeypatch, set_to):
    monkeypatch.setenv("SOME_KEY", set_to)
    with pytest.raises(UserError, match="SOME_KEY") as caught:
        pasted_secret("SOME_KEY")
    assert set_to not in str(caught.value)


def test_the_address_of_the_hub_loses_its_line_break():
    code = "import hub; from huggingface_hub import constants; print(repr(constants.ENDPOINT))"
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9/ \n"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "'http://127.0.0.1:9'"
