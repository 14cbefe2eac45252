"""Capability probe of an endpoint, made before the first judgement; printed, and remembered in the cache.

Compatible endpoints refuse what they do not know, or leave it out in silence, and some models think before they answer.
The probe asks for one letter and must see it: as the first token, whose log-probabilities then serve, or in the text.
Nothing falls back unseen: what a run uses is in its log and on its card.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from eval.judge.api_errors import RequestRejected
from eval.judge.client import Client
from eval.judge.messages import MASS_FLOOR, Request, distribution, read_label
from eval.judge.protocol import TOKEN_LIMITS
from hub.errors import UserError

MAX_TOP_LOGPROBS, FEWER_TOP_LOGPROBS = 20, 5  # OpenAI's own most, and that of others
LABEL = "A"
LABEL_TOKENS = 4  # enough for one letter as text
ONE_TOKEN = 1  # of a small model that goes on after its letter ("Amina"): where it is cut, the letter stands alone
_PROBE = Request((("user", f"Answer with the one letter {LABEL}."),), max_tokens=LABEL_TOKENS)
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
    """Top log-probabilities that come with a token; 0: none, or the first token is not the label."""
    temperature: bool
    """Whether it takes a temperature."""
    n: bool
    """Whether it gives several samples in one call."""
    schema: bool
    """Whether it takes a JSON schema (structured output)."""
    thinking: int = 0
    """Tokens to leave room for before an answer as text, of a judge that thinks first; 0: it answers at once."""
    token_limit: str = TOKEN_LIMITS[0]
    """Its name for the most tokens of an answer."""

    def summarize(self) -> str:
        """The capabilities in words, as logs and cards have them."""
        logprobs = (
            f"log-probabilities of {self.alternatives} alternatives" if self.alternatives else "no log-probabilities"
        )
        others = [f"{'' if has else 'no '}{name}" for name, has in (
            ("temperature", self.temperature), ("several samples a call", self.n), ("structured output", self.schema),
        )]  # fmt: skip
        if self.thinking:
            others.append(f"the answer read after up to {self.thinking:,} tokens of thinking")
        if self.token_limit != TOKEN_LIMITS[0]:
            others.append(f"asked with {self.token_limit}")
        return ", ".join([logprobs, *others])


def probe(client: Client) -> Capabilities:
    """Probes the capabilities of a client's endpoint; from the cache where it was probed before.

    Raises:
        UserError: the endpoint does not answer at all, or no label can be read in its answers.
    """
    room = client.settings.thinking_tokens
    key = json.dumps(["capabilities", *client.endpoint.identity, room])
    if known := client.cache.note(key):
        found = Capabilities(**json.loads(known))
        client.endpoint.token_limit = found.token_limit
    else:
        ask = readable_probe(client)
        found = Capabilities(
            alternatives=top_logprobs(client, replace(ask, max_tokens=1)),
            temperature=ask.temperature >= 0,
            n=supports(client, replace(ask, n=2), samples=2),
            schema=supports(client, replace(ask, schema=_SCHEMA, max_tokens=20 + ask.max_tokens)),
            thinking=max(0, ask.max_tokens - LABEL_TOKENS),
            token_limit=client.endpoint.token_limit,
        )
        client.cache.set_note(key, json.dumps(asdict(found)))
    print(f"[judge] {client.settings.model} at {client.endpoint.url}: {found.summarize()}", flush=True)
    return found


def readable_probe(client: Client) -> Request:
    """The probe as the endpoint takes it and answers it with the label: without a temperature, cut, with room to think.

    Raises:
        RequestRejected: it takes none of them; the error is the endpoint's own.
        UserError: it answers, and the label is not in its answer.
    """
    said, rejected = None, None
    for tokens in (LABEL_TOKENS, ONE_TOKEN, LABEL_TOKENS + client.settings.thinking_tokens):
        for temperature in (0.0, -1.0):
            ask = replace(_PROBE, max_tokens=tokens, temperature=temperature)
            try:
                said = client.call(ask).texts[0]
            except RequestRejected as error:
                rejected = error
                continue
            if read_label(said, LABEL):
                return ask
            break
    if said is None:
        assert rejected
        raise rejected
    shown = f"{said[:80]!r}" if said else "nothing but its thinking, or nothing at all"
    raise UserError(
        f"the judge {client.settings.model} at {client.endpoint.url} gives no label that can be read: asked for the "
        f"letter {LABEL} it says {shown} within {LABEL_TOKENS} tokens and within {client.settings.thinking_tokens:,}; "
        "have it think less or not at all with judge.effort (none, low), or set judge.thinking_tokens"
        + (f" ({rejected})" if rejected else "")
    )


def supports(client: Client, request: Request, samples: int = 1) -> bool:
    """Whether the endpoint takes a request and gives as many samples as it was asked for."""
    try:
        return len(client.call(request).texts) == samples
    except RequestRejected:
        return False


def top_logprobs(client: Client, ask: Request) -> int:
    """How many top log-probabilities come with the label's token: as many as asked for, or fewer.

    0 where none are given, or where the label is not the first token: a judge that thinks first, or opens a code fence,
    has the labels in the tail of another word. It is the first where it has most of the probability, or more than any
    other token: a small model is less sure of its letter, and whether a judgement has mass enough is seen at each.
    """
    for wanted in (MAX_TOP_LOGPROBS, FEWER_TOP_LOGPROBS):
        try:
            first = client.call(replace(ask, logprobs=wanted), whole=False).first
        except RequestRejected:  # too many, or not at all
            continue
        found = distribution(first, LABEL)
        likeliest = max(first, key=lambda one: one[1])[0].strip() if first else ""
        return len(first) if found and (found.mass >= MASS_FLOOR or likeliest == LABEL) else 0
    return 0
