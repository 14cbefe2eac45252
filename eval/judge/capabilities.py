"""Capability probe of an endpoint, made before the first judgement; printed, and remembered in the cache.

Compatible endpoints refuse what they do not know, or leave it out in silence. Nothing falls back unseen: what a run
uses is in its log and on its card.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from eval.judge.client import Client
from eval.judge.messages import Request
from eval.judge.protocol import RequestRejected

MAX_TOP_LOGPROBS, FEWER_TOP_LOGPROBS = 20, 5  # OpenAI's own most, and that of others
_PROBE = Request((("user", "Answer with the one letter A."),), max_tokens=1)
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
    """Capabilities of an endpoint: which parameters it takes and honours."""

    alternatives: int
    """Top log-probabilities that come with a token; 0: none."""
    temperature: bool
    """Whether it takes a temperature."""
    n: bool
    """Whether it gives several samples in one call."""
    schema: bool
    """Whether it takes a JSON schema (structured output)."""

    def summarize(self) -> str:
        """The capabilities in words, as logs and cards have them."""
        logprobs = (
            f"log-probabilities of {self.alternatives} alternatives" if self.alternatives else "no log-probabilities"
        )
        others = [f"{'' if has else 'no '}{name}" for name, has in (
            ("temperature", self.temperature), ("several samples a call", self.n), ("structured output", self.schema),
        )]  # fmt: skip
        return ", ".join([logprobs, *others])


def probe(client: Client) -> Capabilities:
    """Probes the capabilities of a client's endpoint; from the cache where it was probed before.

    Raises:
        UserError: the endpoint does not answer at all.
    """
    key = json.dumps(["mode", *client.endpoint.identity])
    if known := client.cache.note(key):
        found = Capabilities(**json.loads(known))
    else:
        temperature = supports(client, _PROBE)
        ask = _PROBE if temperature else replace(_PROBE, temperature=-1.0)
        if not temperature:
            client.call(ask)  # it must take something: the error of this one is the endpoint's own
        found = Capabilities(
            alternatives=top_logprobs(client, ask),
            temperature=temperature,
            n=supports(client, replace(ask, n=2), samples=2),
            schema=supports(client, replace(ask, schema=_SCHEMA, max_tokens=20)),
        )
        client.cache.set_note(key, json.dumps(asdict(found)))
    print(f"[judge] {client.settings.model} at {client.endpoint.url}: {found.summarize()}", flush=True)
    return found


def supports(client: Client, request: Request, samples: int = 1) -> bool:
    """Whether the endpoint takes a request and gives as many samples as it was asked for."""
    try:
        return len(client.call(request).texts) == samples
    except RequestRejected:
        return False


def top_logprobs(client: Client, ask: Request) -> int:
    """How many top log-probabilities come with a token: as many as asked for, or fewer; 0 where none are given."""
    for wanted in (MAX_TOP_LOGPROBS, FEWER_TOP_LOGPROBS):
        try:
            return len(client.call(replace(ask, logprobs=wanted), whole=False).first)
        except RequestRejected:  # too many, or not at all
            continue
    return 0
