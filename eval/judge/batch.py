"""Batch API: all pending requests go in one file, at half the price, and are collected by starting again.

Which batch was sent for what is noted in the cache before the program ends, so a second start collects and never sends
twice. A line that went wrong stays pending: it goes with the next batch.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from eval.judge.api_errors import MalformedResponse, PromptRejected, permanent_error
from eval.judge.budget import Budget, Use
from eval.judge.cache import Cache
from eval.judge.endpoint import Endpoint
from eval.judge.messages import Answer, Request
from eval.judge.protocol import CHARACTERS_A_TOKEN, answer_to_rejection, parse_response
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

MAX_BATCH_REQUESTS = 50_000  # in one batch (OpenAI)
FINAL_STATUSES = ("completed", "expired", "cancelled", "failed")


class BatchPending(UserError):
    """Batch in progress; start again later to collect it."""


def ask_batch(endpoint: Endpoint, cache: Cache, budget: Budget, pending: Mapping[str, Request]) -> dict[str, Answer]:
    """Batch answers to pending requests by key: collects the batch that was sent before, else sends one.

    Returns:
        Answers by key; what went wrong in the batch is not among them.

    Raises:
        BatchPending: a batch has just been sent, or is not ready yet.
        UserError: the budget would be passed, or the endpoint knows no batches.
    """
    requests = dict(list(pending.items())[:MAX_BATCH_REQUESTS])
    name = "batch:" + hashlib.sha256(json.dumps([*sorted(requests), *endpoint.identity]).encode()).hexdigest()
    if noted := cache.note(name):
        found = collect_batch(endpoint, cache, budget, json.loads(noted), requests)
        cache.set_note(name, None)
        return found
    batch = send_batch(endpoint, budget, requests)
    cache.set_note(name, json.dumps(batch))
    raise BatchPending(
        f"batch {batch} with {len(requests):,} calls is on its way; start again within a day to collect it"
    )


def send_batch(endpoint: Endpoint, budget: Budget, requests: Mapping[str, Request]) -> str:
    """Batch upload and start; returns the batch's id.

    Raises:
        UserError: the budget could be passed, or the endpoint has no Batch API.
    """
    import openai

    characters = sum(sum(len(content) for _, content in request.messages) for request in requests.values())
    answer_tokens = sum(request.max_tokens * request.n for request in requests.values())
    reserved = budget.reserve(characters // CHARACTERS_A_TOKEN, answer_tokens)
    lines = [
        json.dumps(
            {
                "custom_id": key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": endpoint.parameters(request),
            }
        )
        for key, request in requests.items()
    ]
    try:
        file = endpoint.openai.files.create(
            file=("requests.jsonl", io.BytesIO("\n".join(lines).encode())), purpose="batch"
        )
        batch = endpoint.openai.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    except openai.NotFoundError as error:
        raise UserError(f"the judge at {endpoint.url} has no Batch API; leave judge.batch out") from error
    finally:
        budget.settle(reserved, Use(0, 0))
    return str(batch.id)


def collect_batch(
    endpoint: Endpoint, cache: Cache, budget: Budget, batch_id: str, requests: Mapping[str, Request]
) -> dict[str, Answer]:
    """Batch results by key, of a batch in a final status; each answer is in the cache before it is counted.

    Raises:
        BatchPending: it is still running.
    """
    batch = endpoint.openai.batches.retrieve(batch_id)
    if batch.status not in FINAL_STATUSES:
        counts = batch.request_counts
        done = f"{counts.completed:,} of {counts.total:,}" if counts else "some"
        raise BatchPending(f"batch {batch_id} is {batch.status}, {done} calls done; start again later to collect it")
    found: dict[str, Answer] = {}
    for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):  # what was rejected lies in the second
        for line in endpoint.openai.files.content(file_id).text.split("\n"):
            if parsed := parse_batch_line(line, requests, endpoint.settings):
                key, answer = parsed
                cache.put(key, answer)
                budget.settle(0.0, Use(answer.prompt_tokens, answer.answer_tokens, answer.estimated))
                found[key] = answer
    counted = f"{len(found):,} answers, {len(requests) - len(found):,} still open"
    print(f"[judge] batch {batch_id} {batch.status}: {counted}", flush=True)
    return found


def parse_batch_line(line: str, requests: Mapping[str, Request], settings: JudgeSettings) -> tuple[str, Answer] | None:
    """Key and answer of one JSONL line of a batch's output; None for one that went wrong or that nobody asked.

    A prompt that the endpoint rejects is answered as refused.
    """
    from openai.types.chat import ChatCompletion

    try:
        entry: dict[str, Any] = json.loads(line)
        key, response = entry["custom_id"], entry["response"]
        if key not in requests or response is None:
            return None
        if (status := int(response["status_code"])) != 200:
            rejected = isinstance(permanent_error(status, response["body"], settings), PromptRejected)
            return (key, answer_to_rejection(requests[key])) if rejected else None
        answer = parse_response(ChatCompletion.construct(**response["body"]), requests[key], settings)
    except (ValueError, KeyError, TypeError, AttributeError, MalformedResponse, UserError):
        return None
    return None if requests[key].logprobs and not answer.first and not answer.refused else (key, answer)
