"""Requests to the local Hub as they go over the wire, with the tests' token."""

import http.client
import os
import urllib.parse

import httpx2
from huggingface_hub import CommitOperationAdd


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def post(url: str, **options) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"}
    return httpx2.post(url, headers=headers, **options)


def raw(url: str, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of an address that is sent as it stands: clients tidy `..` away."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    connection.request(method, path, headers=headers or {"Authorization": f"Bearer {os.environ['HF_TOKEN']}"})
    answer = connection.getresponse()
    return answer.status, answer.read()
