"""Capability probe of an endpoint, made once."""

import pytest

from eval.judge.capabilities import Capabilities, probe
from eval.judge.client import Client


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, Capabilities(4, True, True, True)),
        ({"alternatives": 2}, Capabilities(2, True, True, True)),
        ({"most": 5}, Capabilities(4, True, True, True)),
        ({"alternatives": 0}, Capabilities(0, True, True, True)),
        ({"refuses": ("logprobs", "temperature")}, Capabilities(0, False, True, True)),
        ({"ignores": ("n",), "refuses": ("response_format",)}, Capabilities(4, True, False, False)),
    ],
)
def test_an_endpoint_is_probed_once_and_its_mode_said(served, tmp_path, capsys, options, mode):
    stub, settings = served(**options)
    stub.labels = lambda prompt: {"A": 0.9, "B": 0.1} if mode.alternatives else {}
    stub.tops = lambda labels: [("A", -0.1), ("B", -2.0), ("C", -3.0), ("D", -4.0)]
    with Client(settings, tmp_path / "c") as client:
        assert probe(client) == mode
        calls = stub.calls
        assert probe(client) == mode
        assert stub.calls == calls
    assert f"stub at {settings.base_url}/: {mode.summarize()}" in capsys.readouterr().out
