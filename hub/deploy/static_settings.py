"""What the page without a server is told at deployment: facts of its adapters, its colours, and whom it may ask."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UserError
from hub.lineage import Input, fetch_lineage
from hub.names import HUB, published_address

SENDERS = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co")
"""Hosts that the real Hub sends large files from, which a page may ask."""


@dataclass(frozen=True)
class AdapterFacts:
    """What a GGUF file's adapter says of itself."""

    base: tuple[str, str]
    """Hub id and commit of its base."""
    context_turns: int
    normalization: str | None
    """Unicode's form that its tokenizer brings text into, which llama.cpp does not."""


def adapter_facts(source: Input) -> AdapterFacts:
    """Reads what a GGUF repository was made from. Raises UserError where it does not say."""
    found = fetch_lineage(source.repo, "model", source.revision)
    if found is None or len(found[1].inputs) != 2:
        raise UserError(f"{source.repo} does not say what it was made from; make it by python -m hub.gguf")
    base, adapter = found[1].inputs
    trained = fetch_lineage(adapter.repo, "model", adapter.revision)
    normalizer = json.loads(published_text(adapter, "tokenizer.json")).get("normalizer") or {}
    turns = trained[1].facts.get("context_turns", 1) if trained else 1
    return AdapterFacts((base.repo, base.revision), turns, normalizer.get("type"))


def published_text(source: Input, path: str) -> str:
    """A text file of a pinned model."""
    return _published(source, path).read_text("utf-8")


def published_sha256(source: Input, path: str) -> str:
    """sha256 of a file of a pinned model, of its content."""
    return hashlib.sha256(_published(source, path).read_bytes()).hexdigest()


def _published(source: Input, path: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source.repo, path, revision=source.revision))


def colours_css(colours: dict[str, list[str]]) -> str:
    """The colours of the Gradio page as CSS variables, by day and by night."""
    day, night = (
        "".join(f"  --{name.replace('_', '-')}: {both[which]};\n" for name, both in colours.items()) for which in (0, 1)
    )
    return f":root {{\n{day}}}\n@media (prefers-color-scheme: dark) {{ :root {{\n{night}}} }}\n"


def allowed_hosts() -> str:
    """The hosts that the page may ask: the Hub that holds the weights, and where that sends large files from."""
    from huggingface_hub import constants

    local = published_address(constants.ENDPOINT) != constants.ENDPOINT
    if local:  # on whatever port it is open
        return f"{published_address(constants.ENDPOINT)}:*"
    return " ".join(SENDERS) if constants.ENDPOINT == HUB else constants.ENDPOINT
