"""The Space: settings -> engine -> page -> launch. Run: `python app.py --namespace NAMESPACE --size starter`.

It pulls the base model and both adapters from the Hub by full revision, keeps one copy of the base in memory (or asks a
server that has them) and serves the page of `space/`: talk to one of the variants, or let all answer the same line at
once. Of a family without a DPO adapter, base and fine-tuned model answer.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import UserError, one_line_errors
from hub.names import Names
from hub.pasted import pasted_secret
from hub.proxies import direct_environment
from space.pinned_models import PinnedModels, find_models, without_hub
from space.settings import Settings, read_settings

if TYPE_CHECKING:
    from chat.engine.local import LocalEngine
    from chat.engine.openai_server import RemoteEngine


def check_port(host: str, port: int) -> None:
    """Raise UserError when somebody else listens on the port already, before minutes go into loading a model."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"cannot listen on {host}:{port} ({error.strerror}): choose another port with --port"
            raise UserError(reason) from None


def open_engine(settings: Settings, models: PinnedModels, zero: bool) -> tuple[LocalEngine | RemoteEngine, int]:
    """The engine that the settings choose, and how many earlier turns its models read.

    Raises UserError where a server that should answer does not, or where this machine cannot serve the model.
    """
    from chat import variants

    if servers := settings.servers:
        from transformers import AutoTokenizer

        from chat.engine.openai_formats import EngineError, Server
        from chat.engine.openai_server import RemoteEngine
        from chat.template import configure_tokenizer

        tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(models.base.repo, **models.base.pinned))
        places = {variant: Server(*servers[variant]) for variant in models.refs}
        try:
            key, patience = pasted_secret("REPARTEE_ENGINE_KEY"), settings.engine_patience
            remote = RemoteEngine(places, tokenizer, key, models.revisions, patience)
        except EngineError as error:
            raise UserError(str(error)) from error
        return remote, variants.context_turns(models.adapters.values())
    dtype = "float32" if settings.precision == "float32" else "bfloat16"  # smaller ones are packed from it
    loaded = variants.load_variants(models.base, models.adapters, "cuda" if zero else None, dtype)
    if zero:
        from chat.engine.zerogpu import ZeroEngine

        return ZeroEngine(loaded), loaded.context_turns
    from chat.engine.transformers_engine import open_local_engine

    try:
        return open_local_engine(loaded, settings.precision, settings.compiled), loaded.context_turns
    except ValueError as error:
        raise UserError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the models, open the page, print one health line and the time it took, serve until interrupted."""
    started = time.perf_counter()
    with one_line_errors():
        settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        check_port(settings.host, settings.port)
        models = find_models(settings)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
        os.environ["FORWARDED_ALLOW_IPS"] = settings.proxies  # read by uvicorn, which else believes 127.0.0.1
        os.environ.update(direct_environment(settings.host))  # gradio asks its own page whether it is there
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the last votes are pushed
        zero = bool(os.environ.get("SPACES_ZERO_GPU"))
        if zero:
            import spaces  # noqa: F401 - before torch, so that it can lend the GPU
        from chat.engine.threads import run_in_own_thread
        from hub.votes.log import VoteLog  # heavy, as all that follows, and so after what a wrong setting can stop
        from space.ballots import Ballots, load_earlier
        from space.chat_handlers import ChatHandlers
        from space.compare_handlers import CompareHandlers
        from space.page import build_page, launch
        from space.results import ModelFacts, find_results, licence

        if models.hub_is_down:
            print(f"starting from the cache of this machine: {models.hub_is_down}", flush=True)
        with without_hub(models.hub_is_down):
            opened, context_turns = run_in_own_thread(open_engine, settings, models, zero)
        names = Names(settings.namespace, settings.size)
        folder = Path(settings.votes_folder, settings.namespace)
        with closing(opened) as engine, closing(VoteLog(names.votes, folder, settings.votes_every)) as log:
            print(engine.describe(), flush=True)
            ballots = Ballots(models.revisions, log.add, log.delete)
            load_earlier(ballots, log)
            variants = tuple(models.refs)
            licences = {variant: licence(ref) for variant, ref in models.refs.items()}
            page = build_page(
                ChatHandlers(engine, context_turns, variants),
                CompareHandlers(engine, context_turns, ballots, variants),
                ModelFacts(models.refs, licences),
                names,
                find_results(names, models.revisions),
                int(settings.at_once),
            )
            rates = settings.session_rate, settings.address_rate
            address = launch(page, settings.host, settings.port, *rates, settings.mcp, settings.root_path)
            print(f"ready in {time.perf_counter() - started:.1f} s: {address}", flush=True)
            page.block_thread()


if __name__ == "__main__":
    main()
