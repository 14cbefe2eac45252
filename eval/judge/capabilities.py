"""What an endpoint can do, found out by asking it before the first judgement; printed, and remembered in the cache.

Compatible endpoints refuse what they do not know, or leave it out in silence. Nothing falls back unseen: the mode that
a run uses is in its log and on its card.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from eval.judge.client import Client
from eval.judge.messages import Request
from eval.judge.protocol import RequestRejected

MOST_ALTERNATIVES, FEWER = 20, 5  # OpenAI's own most, and that of others
_ASK = Request((("user", "Answer with the one letter A."),), max_tokens=1)
_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"letter": {"type": "string"}},
        "required": ["letter"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True)
class Capabilities:
    """What an endpoint takes."""

    alternatives: int
    """Of a token, with their log-probabilities; 0: none."""
    temperature: bool
    n: bool
    schema: bool

    def told(self) -> str:
        logprobs = (
            f"log-probabilities of {self.alternatives} alternatives" if self.alternatives else "no log-probabilities"
        )
        others = [f"{'' if has else 'no '}{name}" for name, has in (
            ("temperature", self.temperature), ("several samples a call", self.n), ("structured output", self.schema),
        )]  # fmt: skip
        return ", ".join([logprobs, *others])


def probe(client: Client) -> Capabilities:
    """The mode of a client's endpoint; from the cache where it was probed before.

    Raises:
        UserError: the endpoint does not answer at all.
    """
    key = json.dumps(["mode", *client.asked])
    if known := client.cache.note(key):
        mode = Capabilities(**json.loads(known))
    else:
        temperature = takes(client, _ASK)
        ask = _ASK if temperature else replace(_ASK, temperature=-1.0)
        if not temperature:
            client.call(ask)  # it must take something: the error of this one is the endpoint's own
        mode = Capabilities(
            alternatives=alternatives(client, ask),
            temperature=temperature,
            n=takes(client, replace(ask, n=2), samples=2),
            schema=takes(client, replace(ask, schema=_SCHEMA, max_tokens=20)),
        )
        client.cache.set_note(key, json.dumps(asdict(mode)))
    print(f"[judge] {client.settings.model} at {client.openai.base_url}: {mode.told()}", flush=True)
    return mode


def takes(client: Client, request: Request, samples: int = 1) -> bool:
    """Whether the endpoint takes a request and gives as many samples as it was asked for."""
    try:
        return len(client.call(request).texts) == samples
    except RequestRejected:
        return False


def alternatives(client: Client, ask: Request) -> int:
    """How many alternatives come with a token: as many as asked for, or fewer; 0 where none are given."""
    for wanted in (MOST_ALTERNATIVES, FEWER):
        try:
            return len(client.call(replace(ask, logprobs=wanted), whole=False).first)
        except RequestRejected:  # too many, or not at all
            continue
    return 0
