"""Payloads of real servers, a few kilobytes of our own prompts: how they were recorded, and the form that they have."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recorded")
QUESTION = [{"role": "user", "content": "Answer with the one letter A."}]
Row = dict[str, Any]
"""An exchange: `what`, `path`, `request`, `status` and `response` (of a stream, the list of its events)."""


def requests_of(model: str, prompt: list[int] | str, fields: dict[str, Any]) -> list[Row]:
    """What is asked of every server: an answer at once and in a stream, a judgement, and a model that is not there.

    Args:
        model: as the server calls the base.
        prompt: in the form that it takes.
        fields: of the sampling, as its dialect has them, flat.
    """
    ask = {"model": model, "prompt": prompt, **fields}
    judge = {"model": model, "messages": QUESTION, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    return [
        {"what": "completion", "path": "/completions", "request": ask},
        {"what": "stream", "path": "/completions", "request": {**ask, "stream": True}},
        {"what": "chat", "path": "/chat/completions", "request": {**judge, "max_completion_tokens": 1}},
        {"what": "older chat", "path": "/chat/completions", "request": {**judge, "max_tokens": 1}},
        {"what": "no such model", "path": "/completions", "request": {**ask, "model": "nobody"}},
    ]


def exchange(url: str, row: Row) -> Row:
    """The row with the server's status and response."""
    body = json.dumps(row["request"]).encode()
    asked = urllib.request.Request(url + row["path"], body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=600) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return {**row, "status": status, "response": parsed(text)}


def parsed(text: str) -> Any:
    """JSON, the events of a stream (its first two and its last), or what else it is."""
    events = [line[6:] for line in text.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    if events:
        return [json.loads(event) for event in (events if len(events) <= 3 else [*events[:2], events[-1]])]
    try:
        return json.loads(text)
    except ValueError:
        return text


def recorded(name: str) -> dict[str, Row]:
    """Recorded exchanges of a server, by what was asked; none where it was not recorded."""
    path = FOLDER / f"{name}.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {row["what"]: row for row in map(json.loads, lines)}


def form(value: Any, path: str = "") -> dict[str, set[str]]:
    """Types by path of every value in a payload: `choices[].text` is a string. Null is of any type, and named none."""
    found: dict[str, set[str]] = {path: {type_name(value)} - {"null"}} if path else {}
    inner = value.items() if isinstance(value, dict) else ()
    for key, one in inner:
        merge(found, form(one, f"{path}.{key}" if path else key))
    for one in value if isinstance(value, list) else ():
        merge(found, form(one, f"{path}[]"))
    return found


def merge(found: dict[str, set[str]], more: dict[str, set[str]]) -> None:
    """Adds the types of one form to another."""
    for path, types in more.items():
        found.setdefault(path, set()).update(types)


def type_name(value: Any) -> str:
    """As JSON names it."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
