"""Stub judge server: `python -m eval.judge.stub --latency 0.5 --faults 0.05`, for tests and trials of cost.

Speaks OpenAI's chat protocol over real HTTP. What it says hangs on the request and the seed alone: of two replies it
prefers one by a quality hidden in their text, with a bias for the first that is known; a score is spread over the
scale around that quality. It refuses a share that is known. Faults are those that real endpoints have.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.judge.stub_opinion import StubOpinion

FAULTS = ("429", "500", "cut", "json", "no logprobs", "timeout")


@dataclass
class Stub(StubOpinion):
    """Stub server: what it does, and what it has seen."""

    latency: float = 0.0
    """Seconds to each answer."""
    faults: float = 0.0
    """The share of calls that go wrong."""
    kinds: tuple[str, ...] = FAULTS
    """Which faults."""
    alternatives: int = 20
    """Most log-probabilities that it gives for a token; 0: it leaves them out in silence."""
    most: int = 20
    """A request for more of them is answered with 400."""
    refuses: tuple[str, ...] = ()
    """Parameters that it answers with 400, such as `logprobs`, `temperature`, `n`."""
    ignores: tuple[str, ...] = ()
    """Parameters that it leaves out of account in silence."""
    always: str = ""
    """What it answers to everything: a status (`401`) or a code (`insufficient_quota`)."""
    rejects: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda request: None
    """Status and body of its own for a request; None where it is answered as usual."""
    calls: int = 0
    """Chat requests so far."""
    seen: Counter[str] = field(default_factory=Counter)
    """Answered calls by request."""
    highest: int = 0
    """Most chat requests at one time."""
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    _now: int = 0

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a chat request, in the protocol's form."""
        prompt = body["messages"][-1]["content"]
        labels = self.labels(prompt)
        texts, tops = [], []
        rng = random.Random(f"{self.seed}:{prompt}:{body.get('seed')}")
        for _ in range(1 if "n" in self.ignores else body.get("n") or 1):
            if labels and self.refuses_to(prompt):
                text, top = self.refusal(labels)
                texts.append(text)
                tops.append(top)
            elif labels:
                texts.append(rng.choices(list(labels), list(labels.values()))[0])
                tops.append(self.tops(labels))
            else:
                texts.append(self.prose(prompt, body, rng))
                tops.append([((texts[-1].split() or [""])[0], -0.1), *((f"word{n}", -3.0 - n) for n in range(25))])
        given = min(body.get("top_logprobs") or 0, self.alternatives) if body.get("logprobs") else 0
        choices = []
        for index, (text, top) in enumerate(zip(texts, tops, strict=True)):
            logprobs = [{"token": token, "logprob": value, "bytes": None} for token, value in top[:given]]
            content = [{**(logprobs[0] if logprobs else {}), "top_logprobs": logprobs}]
            choices.append(
                {
                    "index": index,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                    "logprobs": {"content": content} if logprobs else None,
                }
            )
        count = sum(len(message["content"].split()) for message in body["messages"])
        spent = {"prompt_tokens": count, "completion_tokens": sum(len(text.split()) or 1 for text in texts)}
        usage = {**spent, "total_tokens": sum(spent.values())}
        made = {"id": f"stub-{self.calls}", "object": "chat.completion", "created": 0, "model": body["model"]}
        return {**made, "choices": choices, "usage": usage}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *lines = head.decode("latin-1").split("\r\n")
                method, path, _ = request.split(" ", 2)
                headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self.respond(writer, method, path, body):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the server is told to go
        finally:
            writer.close()

    async def respond(self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes) -> bool:
        """Answers one request; False where the connection ends with it."""
        if path == "/stats":
            return await send(writer, 200, {"calls": self.calls, "twice": self.twice(), "highest": self.highest})
        if not path.endswith("/chat/completions"):
            return await send(writer, *self.other(method, path, body))
        self._now += 1
        self.highest = max(self.highest, self._now)
        try:
            return await self.chat(writer, body)
        finally:
            self._now -= 1

    async def chat(self, writer: asyncio.StreamWriter, body: bytes) -> bool:
        """Answers a chat request; False where the connection ends with it."""
        self.calls += 1
        fault = random.Random(f"{self.seed}:{self.calls}")
        await asyncio.sleep(self.latency)
        request = json.loads(body)
        refused = next((name for name in self.refuses if name in request), None)
        if request.get("top_logprobs", 0) > self.most:
            refused = "top_logprobs"
        if self.always or refused:
            code = self.always or "unsupported_parameter"
            status = int(code) if code.isdecimal() else 429 if code == "insufficient_quota" else 400
            return await send(writer, status, {"error": {"message": f"{refused or code}", "code": code}})
        if rejected := self.rejects(request):
            return await send(writer, *rejected)
        kind = fault.choice(self.kinds) if fault.random() < self.faults else ""
        if kind in ("429", "500"):
            return await send(writer, int(kind), {"error": {"message": "busy"}}, {"Retry-After": "0.1"})
        if kind == "timeout":
            await asyncio.sleep(3600)
        self.seen[hashlib.sha256(body).hexdigest()] += 1
        answer = self.answer(request)
        if kind == "no logprobs":
            answer["choices"] = [{**choice, "logprobs": None} for choice in answer["choices"]]
        content = b"{not json" if kind == "json" else json.dumps(answer).encode()
        return await send(writer, 200, content, cut=kind == "cut")

    def twice(self) -> int:
        """Answered calls beyond the first of each request."""
        return sum(self.seen.values()) - len(self.seen)

    def other(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Files and batches; a batch is done when it is asked for a second time."""
        name = path.rstrip("/").split("/")[-1]
        if method == "POST" and name == "files":
            content = body.split(b"\r\n\r\n")
            lines = max(content, key=len).split(b"\r\n--")[0]
            self.files[f"file-{len(self.files)}"] = [json.loads(line) for line in lines.splitlines() if line.strip()]
            facts = {"bytes": len(lines), "created_at": 0, "filename": "b", "purpose": "batch", "status": "processed"}
            return 200, {"id": f"file-{len(self.files) - 1}", "object": "file", **facts}
        if method == "POST" and name == "batches":
            request = json.loads(body)
            made = {"id": f"batch-{len(self.batches)}", "object": "batch", "status": "in_progress", "created_at": 0}
            self.batches[str(made["id"])] = made | request
            return 200, made | request
        if name in self.batches:
            batch = self.batches[name]
            before = dict(batch)
            if "output_file_id" not in batch:
                batch |= {"status": "completed", "output_file_id": f"out-{name}", "error_file_id": f"err-{name}"}
                answered = [self.line(line) for line in self.files[batch["input_file_id"]]]
                good = [line for line in answered if (line["response"] or {}).get("status_code") == 200]
                self.files[f"out-{name}"] = good
                self.files[f"err-{name}"] = [line for line in answered if line not in good]
            return 200, before
        if name == "content":
            return 200, "\n".join(map(json.dumps, self.files[path.split("/")[-2]])).encode()
        return 404, {"error": {"message": f"no {path}", "code": "not_found"}}

    def line(self, entry: dict[str, Any]) -> dict[str, Any]:
        """One line of a batch's output: an answer, or, for its share of faults, an error."""
        self.calls += 1
        if random.Random(f"{self.seed}:{self.calls}").random() < self.faults:
            error = {"code": "server_error", "message": "x"}
            return {"custom_id": entry["custom_id"], "response": None, "error": error}
        status, body = self.rejects(entry["body"]) or (200, self.answer(entry["body"]))
        return {"custom_id": entry["custom_id"], "response": {"status_code": status, "body": body}, "error": None}


def content_type(body: bytes) -> str:
    """Media type of a body."""
    return "text/html" if body.startswith(b"<") else "application/json"


async def send(
    writer: asyncio.StreamWriter, status: int, content: Any, headers: dict[str, str] | None = None, cut: bool = False
) -> bool:
    """Writes one answer, half of it where it is to be cut; returns whether the connection lives on."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type(body)}", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + (body[: len(body) // 2] if cut else body))
    await writer.drain()
    return not cut


async def serve_stub(stub: Stub, port: int, ready: Callable[[int], None]) -> None:
    """Serves until it is cancelled, on 127.0.0.1; calls `ready` with the port, 0 being any free one."""
    server = await asyncio.start_server(stub.serve, "127.0.0.1", port, limit=2**24)
    ready(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the stub."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to each answer")
    parser.add_argument("--faults", type=float, default=0.0, help="share of calls that go wrong")
    parser.add_argument("--bias", type=float, default=0.5, help="P(it prefers the first of two equally good replies)")
    parser.add_argument("--refusals", type=float, default=0.0, help="share of judgements that it refuses")
    parser.add_argument("--seed", type=int, default=0, help="of opinions and faults")
    arguments = parser.parse_args(argv)
    names = ("latency", "faults", "bias", "refusals", "seed")
    stub = Stub(**{name: getattr(arguments, name) for name in names})
    asyncio.run(serve_stub(stub, arguments.port, lambda port: print(f"http://127.0.0.1:{port}/v1", flush=True)))


if __name__ == "__main__":
    main()
