"""The Batch API: all that is open goes in one file, at half the price, and is collected by starting again.

Which batch was sent for what is noted in the cache before the program ends, so a second start collects and never sends
twice. A line that went wrong stays open: it goes with the next batch.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eval.judge.messages import Answer, Request
from hub.errors import UserError

if TYPE_CHECKING:
    from eval.judge.client import Client

MOST = 50_000  # requests in one batch (OpenAI)
ENDED = ("completed", "expired", "cancelled", "failed")


class BatchPending(UserError):
    """The batch is on its way; start again later."""


def through_batch(client: Client, open_ones: Mapping[str, Request]) -> dict[str, Answer]:
    """Answers to what is open, from a batch that was sent before; else sends one.

    Returns:
        Answers by key; what went wrong in the batch is not among them.

    Raises:
        Detached: a batch has just been sent, or is not ready yet.
        UserError: the budget would be passed, or the endpoint knows no batches.
    """
    some = dict(list(open_ones.items())[:MOST])
    name = "batch:" + hashlib.sha256(json.dumps([*sorted(some), *client.asked]).encode()).hexdigest()
    if noted := client.cache.note(name):
        return collected(client, name, json.loads(noted), some)
    batch = sent(client, some)
    client.cache.set_note(name, json.dumps(batch))
    raise BatchPending(f"batch {batch} with {len(some):,} calls is on its way; start again within a day to collect it")


def sent(client: Client, some: Mapping[str, Request]) -> str:
    """Uploads the requests and starts a batch; returns its id."""
    import openai

    from eval.judge.protocol import CHARACTERS_A_TOKEN, request_parameters

    tokens = sum(sum(len(content) for _, content in request.messages) for request in some.values())
    answers = sum(request.max_tokens * request.n for request in some.values())
    promised = client.purse.promise(tokens // CHARACTERS_A_TOKEN, answers)
    lines = [
        json.dumps(
            {
                "custom_id": key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": request_parameters(request, client.settings),
            }
        )
        for key, request in some.items()
    ]
    try:
        file = client.openai.files.create(
            file=("requests.jsonl", io.BytesIO("\n".join(lines).encode())), purpose="batch"
        )
        batch = client.openai.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    except openai.NotFoundError as error:
        raise UserError(f"the judge at {client.openai.base_url} has no Batch API; leave judge.batch out") from error
    finally:
        client.purse.settle(promised, 0, 0)
    return str(batch.id)


def collected(client: Client, name: str, batch_id: str, some: Mapping[str, Request]) -> dict[str, Answer]:
    """The answers of a batch that has ended, each in the cache before it is counted."""
    batch = client.openai.batches.retrieve(batch_id)
    if batch.status not in ENDED:
        counts = batch.request_counts
        done = f"{counts.completed:,} of {counts.total:,}" if counts else "some"
        raise BatchPending(f"batch {batch_id} is {batch.status}, {done} calls done; start again later to collect it")
    found: dict[str, Answer] = {}
    if batch.output_file_id:
        for line in client.openai.files.content(batch.output_file_id).text.splitlines():
            if answer := answer_of(line, some):
                key, said = answer
                client.cache.put(key, said)
                client.purse.settle(0.0, said.prompt_tokens, said.answer_tokens)
                found[key] = said
    client.cache.set_note(name, None)
    told = f"{len(found):,} answers, {len(some) - len(found):,} still open"
    print(f"[judge] batch {batch_id} {batch.status}: {told}", flush=True)
    return found


def answer_of(line: str, some: Mapping[str, Request]) -> tuple[str, Answer] | None:
    """Key and answer of one line of a batch's output; None for one that went wrong or that nobody asked."""
    from openai.types.chat import ChatCompletion

    from eval.judge.protocol import MalformedResponse, parse_response

    try:
        told: dict[str, Any] = json.loads(line)
        response = told["response"]
        if told["custom_id"] not in some or response is None or response["status_code"] != 200:
            return None
        said = parse_response(ChatCompletion.model_validate(response["body"]))
    except (ValueError, KeyError, TypeError, MalformedResponse):
        return None
    request = some[told["custom_id"]]
    return None if request.logprobs and not said.first else (told["custom_id"], said)
