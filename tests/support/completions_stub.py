"""A stand-in for an OpenAI-compatible server: it says the prompt's last line back, in the manner of one real server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from hub.local import free_port


class Stub:
    """`ids`: takes token ids, as vLLM does. `strict`: refuses unknown fields, as `transformers serve` does."""

    def __init__(self, tokenizer: Any, ids: bool = True, strict: bool = False, key: str = "") -> None:
        self.tokenizer, self.ids, self.strict, self.key = tokenizer, ids, strict, key
        self.asked: list[dict[str, Any]] = []
        self.left = 0  # answers that were not read to their end
        self.fail: dict[
            str, Any
        ] = {}  # status: of every answer; broken, dropped: cut in the middle; bos: one token more
        self.pause = 0.0
        self.stop_reason: int | None = None
        self.url = ""

    async def completions(self, request: Request) -> Any:
        body = await request.json()
        self.asked.append(body)
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "who are you?"}}, 401)
        if body["model"] not in ("base", "sft", "dpo"):
            return JSONResponse({"error": {"message": "no such model"}}, 404)
        if self.strict and set(body) - {"model", "prompt", "stream", "seed", "generation_config"}:
            return JSONResponse({"detail": "Unexpected fields"}, 422)
        if isinstance(body["prompt"], list) and not self.ids:
            return JSONResponse({"detail": "prompt must be a string"}, 400)
        if status := self.fail.get("status"):
            return JSONResponse({"error": {"message": f"I do not like {body['prompt']}"}}, status)
        prompt = body["prompt"]
        ids = prompt if isinstance(prompt, list) else self.tokenizer.encode(prompt, add_special_tokens=False)
        text = f"{body['model']} " + self.tokenizer.decode(ids).split("user\n")[-1].split("<|im_end|>\n")[0]
        usage = {"prompt_tokens": len(ids) + self.fail.get("bos", 0), "completion_tokens": 1, "total_tokens": 0}
        if not body.get("stream"):
            choice = {"index": 0, "text": text[:1], "finish_reason": "length", "logprobs": None}
            return JSONResponse({**self.head(body["model"]), "choices": [choice], "usage": usage})
        return StreamingResponse(self.said(text, body["model"], usage), media_type="text/event-stream")

    async def said(self, text: str, model: str, usage: dict[str, int]) -> Any:
        try:
            for place, piece in enumerate(text.split(" ")):
                if place == 2 and self.fail.get("broken"):
                    return
                if place == 2 and self.fail.get("dropped"):
                    raise ConnectionResetError("the test wants it so")
                await asyncio.sleep(self.pause)
                yield self.event(model, {"text": piece if place == 0 else f" {piece}", "finish_reason": None})
            named = {} if self.stop_reason is None else {"stop_reason": self.stop_reason}  # vLLM's alone
            yield self.event(model, {"text": "", "finish_reason": "stop", **named}, usage=usage)
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise

    @staticmethod
    def head(model: str) -> dict[str, Any]:
        return {"id": "stub-1", "object": "text_completion", "created": 0, "model": model}

    @classmethod
    def event(cls, model: str, choice: dict[str, Any], **more: Any) -> str:
        choices = [{"index": 0, "logprobs": None, **choice}]
        return f"data: {json.dumps({**cls.head(model), 'choices': choices, **more})}\n\n"


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """Runs a stub on 127.0.0.1 for as long as the block takes."""
    port = free_port()
    app = Starlette(routes=[Route("/v1/completions", stub.completions, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.02)
    stub.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield stub
    finally:
        server.should_exit = True
        thread.join()
