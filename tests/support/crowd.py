"""A crowd on the page, by raw HTTP as the page's own script asks: it chats, compares, stops, leaves, and asks wrongly.

It asks 127.0.0.1 alone, for a bounded time, and writes down everything that it is told.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html import unescape

import httpx2

VARIANTS = ("base", "sft", "dpo")
STATED = {429: "a lot of requests", 503: "Queue is full"}  # the limits that the page states
LABELS = {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO"}
TURN = re.compile(r'<p class="cue">(.*?)</p><p class="message-content" dir="auto">(.*?)</p>', re.DOTALL)
FORMS = [
    "Where were you on {}?", "I have never heard of {}.", "They call me {}.", "Put the {} on the table!",
    "Who told you about {}, and why now?",
]  # fmt: skip


@dataclass
class Waited:
    """One request's way through the queue."""

    joined: float
    ranks: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    started: float = 0.0


@dataclass
class Seen:
    """All that the crowd was told."""

    chats: list[tuple[str, str, str]] = field(default_factory=list)  # line, variant, reply
    compared: list[tuple[str, list[str]]] = field(default_factory=list)  # line, replies of VOICES
    waits: list[Waited] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # whatever is neither an answer nor a stated limit


class Visitor:
    """One tab. Its lines hold a word that no other request has, so that an answer can be told from another's."""

    def __init__(self, number: int, http: httpx2.AsyncClient, indices: dict[str, int], seen: Seen) -> None:
        self.number, self.http, self.indices, self.seen = number, http, indices, seen
        self.random, self.asked, self.session = random.Random(number), 0, f"visitor{number}"

    def line(self) -> str:
        self.asked += 1
        word = f"{self.random.choice(['Harry', 'the train', 'Madame', 'number'])} {self.number}-{self.asked}"
        return self.random.choice(FORMS).format(word)

    async def visit(self, until: float) -> None:
        deeds = [self.chat, self.compare, self.stop, self.leave, self.ask_wrongly]
        while time.monotonic() < until:
            deed = self.random.choices(deeds, [45, 25, 10, 10, 10])[0]
            try:
                await deed()
                self.seen.counts[deed.__name__] += 1
            except httpx2.HTTPError as error:
                self.seen.wrong.append(f"{deed.__name__}: {type(error).__name__} {error}")
            await asyncio.sleep(self.random.uniform(0.2, 2))

    async def join(self, name: str, data: list[object]) -> str | None:
        """The event's id, or None where the page has said that it has too much to do."""
        body = {"fn_index": self.indices[name], "data": data, "session_hash": self.session}
        response = await self.http.post("gradio_api/queue/join", json=body)
        if response.status_code == 200:
            return response.json()["event_id"]
        said = STATED.get(response.status_code)
        if said is None or said not in response.text:
            self.seen.wrong.append(f"{name}: {response.status_code} {response.text[:200]}")
        self.seen.counts[f"told: {said}"] += 1
        await asyncio.sleep(1)
        return None

    async def told(self, event: str, cut: int = 0) -> dict | None:
        """What the queue says of an event to its end; with `cut` the connection is dropped after so many pieces."""
        wait, pieces = Waited(time.monotonic()), 0
        self.seen.waits.append(wait)
        async with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session}) as lines:
            async for text in lines.aiter_lines():
                said = json.loads(text[5:]) if text.startswith("data:") else {}
                if said.get("event_id") != event:
                    continue
                if said["msg"] == "estimation":
                    wait.ranks.append(said["rank"])
                    wait.sizes.append(said["queue_size"])
                elif said["msg"] == "process_starts":
                    wait.started = time.monotonic()
                elif said["msg"] == "process_completed":
                    return said
                pieces += said["msg"] == "process_generating"
                if cut and pieces >= cut:
                    return None
        self.seen.wrong.append(f"{event}: the connection ended without an answer")
        return None

    async def chat(self) -> None:
        line, variant = self.line(), self.random.choice(VARIANTS)
        if event := await self.join("say", [line, variant, 0, 25, 0.95, None, "", ""]):
            said = await self.told(event)
            if not said or not said["success"]:
                self.seen.wrong.append(f"chat: {said}")
                return
            turns = dict(TURN.findall(said["output"]["data"][1]))
            if (heard := unescape(turns.pop("You", ""))) != line:
                self.seen.wrong.append(f"chat: {line!r} came back as {heard!r}")
            if list(turns) != list(LABELS.values()):
                self.seen.wrong.append(f"chat: answered by {list(turns)}")
            self.seen.chats.append((line, variant, unescape(turns[LABELS[variant]])))

    async def compare(self) -> None:
        line = self.line()
        if event := await self.join("compare", [line, 0, 25, 0.95, None, ""]):
            said = await self.told(event)
            if said and said["success"]:
                compared = said["output"]["data"][0]
                self.seen.compared.append((line, [compared[variant]["reply"] for variant in VARIANTS]))
            else:
                self.seen.wrong.append(f"compare: {said}")

    async def stop(self) -> None:
        if event := await self.join("say", [self.line(), "dpo", 1, 25, 0.95, None, "", ""]):
            await self.told(event, cut=2)
            body = {"session_hash": self.session, "fn_index": self.indices["say"], "event_id": event}
            response = await self.http.post("gradio_api/cancel", json=body)
            if response.status_code != 200:
                self.seen.wrong.append(f"stop: {response.status_code} {response.text[:200]}")

    async def leave(self) -> None:
        """A tab is closed in the middle of a comparison, and another one opened."""
        if event := await self.join("compare", [self.line(), 1, 25, 0.95, None, ""]):
            await self.told(event, cut=1)
            self.session = f"visitor{self.number}-{self.asked}"

    async def ask_wrongly(self) -> None:
        """Each is refused, by itself and clearly."""
        kind = self.random.choice(["long", "voice", "bounds", "huge", "path", "vote"])
        self.seen.counts[f"wrong: {kind}"] += 1
        if kind in ("huge", "path", "vote"):
            vote = {"fn_index": self.indices["vote"], "data": ["A is best", "f" * 32], "session_hash": self.session}
            path = {"huge": "queue/join", "path": "upload", "vote": "run/predict"}[kind]
            body = json.dumps(vote) if kind == "vote" else "x" * (1 << 20)
            json_type = {"content-type": "application/json"}
            response = await self.http.post(f"gradio_api/{path}", content=body, headers=json_type)
            expected = {"huge": (413,), "path": (404,), "vote": (500, 429)}[kind]
            if response.status_code not in expected:
                self.seen.wrong.append(f"{kind}: {response.status_code} {response.text[:200]}")
            return
        line = "x" * 600 if kind == "long" else self.line()
        variant = "somebody" if kind == "voice" else "dpo"
        if event := await self.join("say", [line, variant, 9 if kind == "bounds" else 0, 25, 0.95, None, "", ""]):
            said = await self.told(event)
            if said is None or said["success"] or not said["output"].get("error"):
                self.seen.wrong.append(f"{kind}: {said}")


async def come(url: str, visitors: int, seconds: float) -> Seen:
    """Lets the visitors in over a few seconds, for so many seconds, each with an address and cookies of its own."""
    assert url.startswith("http://127.0.0.1:")
    seen = Seen()
    async with AsyncExitStack() as browsers:
        clients = [
            await browsers.enter_async_context(
                httpx2.AsyncClient(
                    base_url=url, timeout=600, trust_env=False, headers={"X-Forwarded-For": f"10.0.0.{number}"}
                )
            )
            for number in range(visitors)
        ]
        functions = (await clients[0].get("config")).json()["dependencies"]
        indices = {one["api_name"]: one["id"] for one in functions}
        until = time.monotonic() + seconds
        crowd = [Visitor(number, http, indices, seen) for number, http in enumerate(clients)]
        await asyncio.gather(*(visitor.visit(until) for visitor in crowd))
    return seen
