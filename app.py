"""The Space: settings -> engine -> page -> launch. Run: `python app.py --namespace NAMESPACE --size starter`.

It pulls the base model and both adapters from the Hub by full revision, keeps one copy of the base in memory and serves
the page of `space/`: talk to one of the three voices, or let all three answer the same line at once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from hub.errors import UserError, one_line_errors
from hub.names import Names

NUMBERS = ("session_rate", "address_rate", "votes_every")
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
    votes_folder: str = ".repartee/votes"
    """Where votes wait for the Hub (REPARTEE_VOTES_FOLDER); on a Space give it a disk that lasts, if there is one."""
    votes_every: float = 300
    """Seconds between two commits of votes (REPARTEE_VOTES_EVERY)."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.namespace):
            raise UserError(f"{self.namespace!r} is not a namespace on the Hub: set REPARTEE_NAMESPACE or --namespace")
        if not re.fullmatch(r"[\w.-]+", self.size):
            raise UserError(f"{self.size!r} is not a model size: set REPARTEE_SIZE or --size, to starter for example")
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


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line, else from the environment, else the defaults; raises UserError on a bad value."""
    parser = argparse.ArgumentParser(description="Serve the Repartee page.")
    parser.add_argument("--namespace", default=environment.get("REPARTEE_NAMESPACE", ""))
    parser.add_argument("--size", default=environment.get("REPARTEE_SIZE") or Settings.size)
    port = environment.get("GRADIO_SERVER_PORT") or environment.get("PORT") or str(Settings.port)
    parser.add_argument("--port", default=port)
    flags = parser.parse_args(arguments)
    if not flags.port.isdecimal():
        raise UserError(f"{flags.port!r} is not a port: choose one from 1 to 65535 with --port")
    optional = ("base", "base_revision", "sft_revision", "dpo_revision")
    chosen = {name: environment.get(f"REPARTEE_{name.upper()}") or None for name in optional}
    numbers = {name: number(name, environment) for name in NUMBERS}
    return Settings(
        namespace=flags.namespace,
        size=flags.size,
        port=int(flags.port),
        host=environment.get("GRADIO_SERVER_NAME") or Settings.host,
        proxies=environment.get("REPARTEE_PROXIES", SPACES_NETWORK if environment.get("SPACE_ID") else ""),
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


@dataclass(frozen=True)
class Models:
    """One base and the adapters on it: Hub ids, and the full commit of each under the name of its voice."""

    base: str
    adapters: dict[str, str]
    revisions: dict[str, str]


def find_models(settings: Settings) -> Models:
    """Pin the base and both adapters to the commits that they are at now.

    Raises UserError when the adapters name different bases and REPARTEE_BASE does not decide.
    """
    from huggingface_hub import HfApi, hf_hub_download

    api, names = HfApi(), Names(settings.namespace, settings.size)
    adapters = {kind: names.adapter(kind) for kind in ("sft", "dpo")}
    wanted = {"sft": settings.sft_revision, "dpo": settings.dpo_revision}
    revisions = {kind: str(api.model_info(repo, revision=wanted[kind]).sha) for kind, repo in adapters.items()}
    paths = {
        kind: hf_hub_download(repo, "adapter_config.json", revision=revisions[kind]) for kind, repo in adapters.items()
    }
    configs = {kind: json.loads(Path(path).read_text("utf-8")) for kind, path in paths.items()}
    bases = {config["base_model_name_or_path"] for config in configs.values()}
    if len(bases) > 1 and not settings.base:
        raise UserError(f"the adapters stand on different bases ({', '.join(sorted(bases))}): set REPARTEE_BASE to one")
    base = settings.base or bases.pop()
    revision = settings.base_revision or (None if settings.base else configs["dpo"].get("revision"))
    return Models(base, adapters, {"base": str(api.model_info(base, revision=revision).sha), **revisions})


def check_port(host: str, port: int) -> None:
    """Raise UserError when somebody else listens on the port already, before minutes go into loading a model."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"cannot listen on {host}:{port} ({error.strerror}): choose another port with --port"
            raise UserError(reason) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the models, open the page, print one health line and the time it took, serve until interrupted."""
    started = time.perf_counter()
    with one_line_errors():
        settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        check_port(settings.host, settings.port)
        models = find_models(settings)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
        os.environ["FORWARDED_ALLOW_IPS"] = settings.proxies  # read by uvicorn, which else believes 127.0.0.1
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the last votes are pushed
        zero = bool(os.environ.get("SPACES_ZERO_GPU"))
        if zero:
            import spaces  # noqa: F401 - before torch, so that it can lend the GPU
        from chat import voices  # heavy, and so after everything that a wrong setting can stop
        from chat.engine import LocalEngine
        from hub.votes import VoteLog
        from space.ballots import Ballots, load_earlier
        from space.comparing import Comparing
        from space.handlers import Handlers
        from space.page import build_page, launch
        from space.published import Models as Shown
        from space.published import find_results, licence

        loaded = voices.load(models.base, models.adapters, models.revisions, device="cuda" if zero else None)
        if zero:
            from chat.zero import ZeroEngine

        names = Names(settings.namespace, settings.size)
        folder = Path(settings.votes_folder, settings.namespace)
        with (
            closing(ZeroEngine(loaded) if zero else LocalEngine(loaded)) as engine,
            closing(VoteLog(names.votes, folder, settings.votes_every)) as log,
        ):
            print(engine.describe(), flush=True)
            ballots = Ballots(models.revisions, log.add)
            load_earlier(ballots, log)
            repos = {"base": models.base, **models.adapters}
            licences = {voice: licence(repo, models.revisions[voice]) for voice, repo in repos.items()}
            page = build_page(
                Handlers(engine, loaded.context_turns),
                Comparing(engine, loaded.context_turns, ballots),
                Shown(repos, models.revisions, licences),
                names,
                find_results(names, models.revisions),
            )
            address = launch(page, settings.host, settings.port, settings.session_rate, settings.address_rate)
            print(f"ready in {time.perf_counter() - started:.1f} s: {address}", flush=True)
            page.block_thread()


if __name__ == "__main__":
    main()
