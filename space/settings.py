"""What the page is told, by flag or by environment variable."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_network

from chat.variants import PRECISIONS, VARIANTS
from hub.errors import UserError

NUMBERS = ("session_rate", "address_rate", "at_once", "votes_every")
SPACES_NETWORK = "10.0.0.0/8"  # from where the proxy of Hugging Face Spaces asks; unrun


@dataclass(frozen=True)
class Settings:
    """What the Space is told, by flag or by environment variable. Raises UserError for a value that cannot work."""

    namespace: str
    """Hub user or organisation that holds the models (`--namespace`, REPARTEE_NAMESPACE)."""
    size: str = "starter"
    """Which family of adapters answers, `<namespace>/repartee-<size>-{sft,dpo}` (`--size`, REPARTEE_SIZE)."""
    base: str | None = None
    """Hub id of the base model; else the one that the adapters name (REPARTEE_BASE)."""
    base_revision: str | None = None
    """Branch, tag or commit of the base; else the one that the adapters name, else main (REPARTEE_BASE_REVISION)."""
    sft_revision: str | None = None
    """The same for the fine-tuned adapter; else main (REPARTEE_SFT_REVISION)."""
    dpo_revision: str | None = None
    """The same for the DPO adapter; else main (REPARTEE_DPO_REVISION)."""
    host: str = "127.0.0.1"
    """Address to listen on (GRADIO_SERVER_NAME, which Spaces set)."""
    port: int = 7860
    """Port to listen on (`--port`, GRADIO_SERVER_PORT, PORT)."""
    proxies: str = ""
    """Addresses or networks, with commas between, whose X-Forwarded-For is believed; none of them otherwise
    (REPARTEE_PROXIES; on Spaces their own network)."""
    session_rate: float = 30
    """Requests a minute from one visitor (REPARTEE_SESSION_RATE)."""
    address_rate: float = 120
    """Requests a minute from one address, which several visitors may share (REPARTEE_ADDRESS_RATE)."""
    precision: str = "auto"
    """Of the model's weights on this machine: float32, bf16, nf4, int8, int4, or auto, which is int8 on a CPU
    (int4 on one without instructions for it) and bf16 on a GPU (`--precision`, REPARTEE_PRECISION)."""
    compiled: bool = True
    """Whether steps of the model on this machine are compiled, in the background of its first start (unless
    REPARTEE_COMPILED=0)."""
    engine_url: str = ""
    """OpenAI-compatible server that answers instead of a model on this machine, up to and with `/v1`: one address, or
    `variant=address` with commas between (REPARTEE_ENGINE_URL; its key is REPARTEE_ENGINE_KEY, kept nowhere else)."""
    engine_models: str = ""
    """What the variants are called there, `variant=name` with commas between; else base, sft and dpo
    (REPARTEE_ENGINE_MODELS)."""
    at_once: float = 4
    """Requests handed to the engine at one time (REPARTEE_AT_ONCE); a server of its own takes more."""
    mcp: bool = False
    """Also be an MCP server, whose tools are `/chat` and `/compare` (REPARTEE_MCP=1); it takes gradio's extra `mcp`."""
    votes_folder: str = ".repartee/votes"
    """Where votes wait for the Hub (REPARTEE_VOTES_FOLDER); on a Space give it a disk that lasts, if there is one."""
    votes_every: float = 300
    """Seconds between two commits of votes (REPARTEE_VOTES_EVERY)."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.namespace):
            raise UserError(f"{self.namespace!r} is not a namespace on the Hub: set REPARTEE_NAMESPACE or --namespace")
        if not re.fullmatch(r"[\w.-]+", self.size):
            raise UserError(f"{self.size!r} is not a model size: set REPARTEE_SIZE or --size, to starter for example")
        if self.precision not in ("auto", *PRECISIONS):
            known = ", ".join(PRECISIONS)
            raise UserError(f"no precision called {self.precision!r}: set REPARTEE_PRECISION to auto, {known}")
        if not 1 <= self.port <= 65535:
            raise UserError(f"{self.port} is not a port: choose one from 1 to 65535 with --port")
        for name in NUMBERS:
            if not getattr(self, name) > 0:
                raise UserError(f"{getattr(self, name)} cannot be: set REPARTEE_{name.upper()} to a number above 0")
        for network in filter(None, self.proxies.split(",")):
            try:
                ip_network(network.strip())
            except ValueError as error:
                raise UserError(f"{error}: set REPARTEE_PROXIES to addresses like 10.0.0.0/8,127.0.0.1") from None
        if self.mcp and find_spec("mcp") is None:
            raise UserError("REPARTEE_MCP needs a package that is not there: pip install 'gradio[mcp]', or unset it")
        for url, _ in self.servers.values():
            if not re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", url):  # not shown: somebody may put a key into it
                raise UserError(
                    "REPARTEE_ENGINE_URL takes a plain address like http://127.0.0.1:8000/v1, or variant=address with "
                    "commas between; a key goes into REPARTEE_ENGINE_KEY"
                )

    @property
    def servers(self) -> dict[str, tuple[str, str]]:
        """Address and model name by variant, of the servers that answer; none where a model of this machine does."""
        if not self.engine_url:
            return {}
        models = {variant: variant for variant in VARIANTS} | by_variant("REPARTEE_ENGINE_MODELS", self.engine_models)
        if "=" not in self.engine_url:
            return {variant: (self.engine_url.strip(), models[variant]) for variant in VARIANTS}
        urls = by_variant("REPARTEE_ENGINE_URL", self.engine_url)
        return {variant: (urls.get(variant, ""), models[variant]) for variant in VARIANTS}


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line, else from the environment, else the defaults; raises UserError on a bad value."""
    parser = argparse.ArgumentParser(description="Serve the Repartee page.")
    parser.add_argument("--namespace", default=environment.get("REPARTEE_NAMESPACE", ""))
    parser.add_argument("--size", default=environment.get("REPARTEE_SIZE") or Settings.size)
    port = environment.get("GRADIO_SERVER_PORT") or environment.get("PORT") or str(Settings.port)
    parser.add_argument("--port", default=port)
    parser.add_argument("--precision", default=environment.get("REPARTEE_PRECISION") or Settings.precision)
    flags = parser.parse_args(arguments)
    if not flags.port.isdecimal():
        raise UserError(f"{flags.port!r} is not a port: choose one from 1 to 65535 with --port")
    optional = ("base", "base_revision", "sft_revision", "dpo_revision")
    chosen = {name: environment.get(f"REPARTEE_{name.upper()}") or None for name in optional}
    numbers = {name: number(name, environment) for name in NUMBERS}
    return Settings(
        namespace=flags.namespace,
        size=flags.size,
        precision=flags.precision,
        compiled=environment.get("REPARTEE_COMPILED", "1") not in ("", "0"),
        port=int(flags.port),
        host=environment.get("GRADIO_SERVER_NAME") or Settings.host,
        proxies=environment.get("REPARTEE_PROXIES", SPACES_NETWORK if environment.get("SPACE_ID") else ""),
        engine_url=environment.get("REPARTEE_ENGINE_URL") or "",
        engine_models=environment.get("REPARTEE_ENGINE_MODELS") or "",
        mcp=environment.get("REPARTEE_MCP", "") not in ("", "0"),
        votes_folder=environment.get("REPARTEE_VOTES_FOLDER") or Settings.votes_folder,
        **chosen,  # type: ignore[arg-type]
        **numbers,  # type: ignore[arg-type]
    )


def number(name: str, environment: Mapping[str, str]) -> float:
    """A setting that is a number, else its default. Raises UserError for what is none."""
    text = environment.get(f"REPARTEE_{name.upper()}")
    try:
        return float(text) if text else getattr(Settings, name)
    except ValueError:
        raise UserError(f"{text!r} is not a number: set REPARTEE_{name.upper()} to one above 0") from None


def by_variant(name: str, text: str) -> dict[str, str]:
    """A setting of `variant=value` with commas between. Raises UserError for what is none, without repeating it."""
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(variant in VARIANTS and value for variant, _, value in parts):
        raise UserError(f"{name} takes variant=value with commas between; the variants are {', '.join(VARIANTS)}")
    return {variant: value for variant, _, value in parts}
