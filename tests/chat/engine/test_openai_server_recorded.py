"""The stub of completions, held to recordings: nothing that no real server sends, and all that each of them does."""

from __future__ import annotations

import pytest

from tests.support.completions_stub import Stub, serving
from tests.support.recordings import FOLDER, exchange, form, recorded, requests_of

SERVERS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def held_to_servers(response, what):
    """Asserts the form of a stub's response; null fits every type."""
    forms = [form(rows[what]["response"]) for rows in map(recorded, SERVERS) if what in rows]
    stub = form(response)
    assert stub.keys() <= set().union(*forms), what
    everywhere = set.intersection(*(set(one) for one in forms))
    assert everywhere <= stub.keys(), what
    for path, types in stub.items():
        known = set().union(*(one.get(path, set()) for one in forms))
        assert types <= known or not known, (what, path)


def test_recordings_are_there():
    assert SERVERS
    for name in SERVERS:
        rows = recorded(name)
        assert {"completion", "stream", "chat", "older chat", "no such model"} <= rows.keys()
        assert rows["completion"]["status"] == rows["stream"]["status"] == 200
        assert (FOLDER / f"{name}.jsonl").stat().st_size < 20_000


@pytest.mark.parametrize("what", ["completion", "stream"])
def test_the_stub_of_completions_has_their_form(tokenizer, what):
    with serving(Stub(tokenizer)) as stub:
        prompt = tokenizer.encode("<|im_start|>user\nWell?<|im_end|>\n", add_special_tokens=False)
        [row] = [row for row in requests_of("base", prompt, {"max_tokens": 4}) if row["what"] == what]
        found = exchange(stub.url, row)
    assert found["status"] == 200
    held_to_servers(found["response"], what)
