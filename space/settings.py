"""Settings of the page. Each is declared once: its name, default, flag, environment variables, reader and help.

The command line, the reading of the environment and the table of the documentation are made from these declarations;
`python -m space.settings` prints the table.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Any

from chat.variants import PRECISIONS, VARIANTS
from hub.errors import UserError
from space.setting_readers import read_number, read_port, read_root_path, read_seconds, read_switch, read_text

SPACES_NETWORK = "10.0.0.0/8"  # from where the proxy of Hugging Face Spaces asks; unrun


@dataclass(frozen=True)
class SettingSource:
    """Where a setting is read from."""

    variables: tuple[str, ...]
    """Environment variables; the first that is not empty counts."""
    help: str
    flag: bool = False
    """Whether the command line has it too, where it wins."""
    read: Callable[[str, str], Any] = read_text
    """Reads a value from its text; the second argument is the variable, for error messages."""
    empty: bool = False
    """Whether an empty variable is a value; else it is the same as none."""
    on_spaces: str | None = None
    """Another default, as text, on Hugging Face Spaces."""


def setting(*variables: str, help: str, default: Any = MISSING, **options: Any) -> Any:
    """Declares a field of `Settings`; `options` are those of `SettingSource`."""
    return field(default=default, metadata={"source": SettingSource(variables, help, **options)})


@dataclass(frozen=True)
class Settings:
    """Settings of the page, by flag or by environment variable. Raises UserError for a value that cannot work."""

    # fmt: off
    namespace: str = setting(
        "REPARTEE_NAMESPACE", flag=True, help="Hub user or organisation that holds the models",
    )
    size: str = setting(
        "REPARTEE_SIZE", default="starter", flag=True,
        help="which family of adapters answers, NAMESPACE/repartee-SIZE-sft and, where there is one, -dpo",
    )
    base: str | None = setting(
        "REPARTEE_BASE", default=None, help="Hub id of the base model; else the one that the adapters name",
    )
    base_revision: str | None = setting(
        "REPARTEE_BASE_REVISION", default=None,
        help="branch, tag or commit of the base; else the one that the adapters name, else main",
    )
    sft_revision: str | None = setting(
        "REPARTEE_SFT_REVISION", default=None, help="the same for the fine-tuned adapter; else main",
    )
    dpo_revision: str | None = setting(
        "REPARTEE_DPO_REVISION", default=None, help="the same for the DPO adapter; else main",
    )
    root_path: str = setting(
        "GRADIO_ROOT_PATH", default="", read=read_root_path,
        help="path that a proxy serves the page under, like /repartee, or its whole address; the proxy may keep the "
        "path in what it passes on, or take it off",
    )
    host: str = setting("GRADIO_SERVER_NAME", default="127.0.0.1", help="address to listen on; Spaces set it")
    port: int = setting(
        "GRADIO_SERVER_PORT", "PORT", default=7860, flag=True, read=read_port, help="port to listen on",
    )
    proxies: str = setting(
        "REPARTEE_PROXIES", default="", empty=True, on_spaces=SPACES_NETWORK,
        help="addresses or networks, with commas between, whose X-Forwarded-For is believed; none of them otherwise "
        "(on Spaces their own network)",
    )
    session_rate: float = setting(
        "REPARTEE_SESSION_RATE", default=30, read=read_number, help="requests a minute from one visitor",
    )
    address_rate: float = setting(
        "REPARTEE_ADDRESS_RATE", default=120, read=read_number,
        help="requests a minute from one address, which several visitors may share",
    )
    precision: str = setting(
        "REPARTEE_PRECISION", default="auto", flag=True,
        help=f"of the model's weights on this machine: {', '.join(PRECISIONS)}, or auto, which is int8 on a CPU (int4 "
        "on one without instructions for it) and bf16 on a GPU",
    )
    compiled: bool = setting(
        "REPARTEE_COMPILED", default=True, read=read_switch, empty=True,
        help="whether decode steps on this machine are compiled, in the background of its first start (0: not)",
    )
    engine_url: str = setting(
        "REPARTEE_ENGINE_URL", default="",
        help="OpenAI-compatible server that answers instead of a model on this machine, up to and with /v1: one "
        "address, or variant=address with commas between; its key is REPARTEE_ENGINE_KEY, kept nowhere else",
    )
    engine_models: str = setting(
        "REPARTEE_ENGINE_MODELS", default="",
        help="what the variants are called there, variant=name with commas between; else base, sft and dpo",
    )
    engine_patience: float = setting(
        "REPARTEE_ENGINE_PATIENCE", default=0, read=read_seconds,
        help="seconds for which a start and a visitor wait for that server while it is starting, as one does that "
        "scales to zero; the page says so meanwhile",
    )
    at_once: float = setting(
        "REPARTEE_AT_ONCE", default=4, read=read_number,
        help="requests handed to the engine at one time; a server of its own takes more",
    )
    mcp: bool = setting(
        "REPARTEE_MCP", default=False, read=read_switch, empty=True,
        help="1: also be an MCP server, whose tools are /chat and /compare; it takes gradio's extra mcp",
    )
    votes_folder: str = setting(
        "REPARTEE_VOTES_FOLDER", default=".repartee/votes",
        help="where votes wait for the Hub; on a Space give it a disk that lasts, if there is one",
    )
    votes_every: float = setting(
        "REPARTEE_VOTES_EVERY", default=300, read=read_number, help="seconds between two commits of votes",
    )
    # fmt: on

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
        for name, source in setting_sources().items():
            if source.read is read_number and not getattr(self, name) > 0:
                raise UserError(f"{getattr(self, name)} cannot be: set {source.variables[0]} to a number above 0")
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


def setting_sources() -> dict[str, SettingSource]:
    """The source of every setting, by its name, in the order of declaration."""
    return {one.name: one.metadata["source"] for one in fields(Settings)}


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Reads settings from the command line, else the environment, else defaults. Raises UserError on a bad value."""
    parser = argparse.ArgumentParser(
        description="Serve the Repartee page.",
        epilog="Environment variables:\n\n" + "\n".join(f"  {names}\n      {text}" for names, text in _rows()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, source in setting_sources().items():
        if source.flag:
            parser.add_argument(f"--{name}", help=f"{source.help} ({source.variables[0]})".replace("%", "%%"))
    flags = vars(parser.parse_args(arguments))
    found: dict[str, Any] = {}
    for name, source in setting_sources().items():
        text = flags.get(name)
        if text is None:
            text = next((environment[one] for one in source.variables if environment.get(one)), None)
        if text is None and source.empty:
            text = next((environment[one] for one in source.variables if one in environment), None)
        if text is None and environment.get("SPACE_ID"):
            text = source.on_spaces
        if text is not None:
            found[name] = source.read(text.strip(), source.variables[0])  # pasted, it may end in a line break
    return Settings(**{"namespace": "", **found})


def _rows() -> list[tuple[str, str]]:
    """Environment variables and help of every setting."""
    rows = []
    for one in fields(Settings):
        source: SettingSource = one.metadata["source"]
        default = "" if one.default in (MISSING, None, "", True, False) else f" (default: {one.default})"
        rows.append((", ".join(source.variables), source.help + default))
    return rows


def settings_table() -> str:
    """Renders the settings as a Markdown table, for the documentation."""
    lines = ["| variable | flag | what it sets |", "|---|---|---|"]
    for (name, source), (_, text) in zip(setting_sources().items(), _rows(), strict=True):
        names = ", ".join(f"`{variable}`" for variable in source.variables)
        lines.append(f"| {names} | {f'`--{name}`' if source.flag else ''} | {text} |")
    return "\n".join(lines)


def by_variant(name: str, text: str) -> dict[str, str]:
    """A setting of `variant=value` with commas between. Raises UserError for what is none, without repeating it."""
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(variant.strip() in VARIANTS and value.strip() for variant, _, value in parts):
        raise UserError(f"{name} takes variant=value with commas between; the variants are {', '.join(VARIANTS)}")
    return {variant.strip(): value.strip() for variant, _, value in parts}


if __name__ == "__main__":
    print(settings_table())
