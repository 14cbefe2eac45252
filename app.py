"""The Space: settings -> engine -> page -> launch. Run: `python app.py --namespace NAMESPACE --size starter`.

It pulls the base model and both adapters from the Hub by full revision, keeps one copy of the base in memory and serves
the page of `space/`: talk to one of the three voices, or let all three answer the same line at once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UserError, one_line_errors
from hub.names import Names


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

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.namespace):
            raise UserError(f"{self.namespace!r} is not a namespace on the Hub: set REPARTEE_NAMESPACE or --namespace")
        if not re.fullmatch(r"[\w.-]+", self.size):
            raise UserError(f"{self.size!r} is not a model size: set REPARTEE_SIZE or --size, to starter for example")
        if not 1 <= self.port <= 65535:
            raise UserError(f"{self.port} is not a port: choose one from 1 to 65535 with --port")


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
    return Settings(
        namespace=flags.namespace,
        size=flags.size,
        port=int(flags.port),
        host=environment.get("GRADIO_SERVER_NAME") or Settings.host,
        **{name: environment.get(f"REPARTEE_{name.upper()}") or None for name in optional},
    )


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
        zero = bool(os.environ.get("SPACES_ZERO_GPU"))
        if zero:
            import spaces  # noqa: F401 - before torch, so that it can lend the GPU
        from chat import voices  # heavy, and so after everything that a wrong setting can stop
        from chat.engine import LocalEngine
        from space.handlers import Handlers
        from space.page import build_page, launch

        loaded = voices.load(models.base, models.adapters, models.revisions, device="cuda" if zero else None)
        if zero:
            from chat.zero import ZeroEngine

        with closing(ZeroEngine(loaded) if zero else LocalEngine(loaded)) as engine:
            print(engine.describe(), flush=True)
            page = build_page(Handlers(engine, loaded.context_turns), models.base, models.adapters, models.revisions)
            address = launch(page, settings.host, settings.port)
            print(f"ready in {time.perf_counter() - started:.1f} s: {address}", flush=True)
            page.block_thread()


if __name__ == "__main__":
    main()
