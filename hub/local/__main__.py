"""`python -m hub.local serve [--port N]` or `python -m hub.local run [--data DIR] -- COMMAND`."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from hub.errors import UserError, one_line_errors
from hub.local import DATA, client_environment, running, token_of


def serve(data: Path, host: str, port: int, quiet: bool) -> None:
    """Serves until stopped; says where, and refuses a taken port in one line."""
    import uvicorn

    from hub.local.protocol import Protocol
    from hub.local.store import Store

    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        raise UserError(
            f"port {port} on {host} cannot be used ({error.strerror}); choose another with --port"
        ) from error
    app = Protocol(Store(data), token_of(data)).app()
    if not quiet:
        address = f"http://{host}:{bound.getsockname()[1]}"
        print(f"The local Hub is open at {address}\nexport HF_ENDPOINT={address} HF_HUB_DISABLE_XET=1", flush=True)
        print(f"export HF_TOKEN=$(cat {data / 'token'})   # needed to write", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[bound])


def run(data: Path, port: int, command: list[str]) -> int:
    """Runs a command against a server of its own; returns the command's exit status."""
    try:
        with running(data, port) as url:
            child = subprocess.Popen(command, env=os.environ | client_environment(url, data))
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda received, _frame: child.send_signal(received))
            return child.wait()
    except FileNotFoundError as error:
        raise UserError(f"{command[0]}: no such command") from error
    except RuntimeError as error:
        raise UserError(str(error)) from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="verb", required=True)
    for verb, port in (("serve", 8765), ("run", 0)):
        sub = commands.add_parser(verb)
        sub.add_argument("--data", type=Path, default=DATA, help="where repositories are kept (default: %(default)s)")
        sub.add_argument("--port", type=int, default=port, help="0 takes any free port (default: %(default)s)")
        if verb == "serve":
            sub.add_argument("--host", default="127.0.0.1")
            sub.add_argument("--quiet", action="store_true")
        else:
            sub.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    arguments = parser.parse_args()
    with one_line_errors():
        if arguments.verb == "serve":
            serve(arguments.data, arguments.host, arguments.port, arguments.quiet)
        else:
            command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
            if not command:
                raise UserError("nothing to run; write: python -m hub.local run -- COMMAND")
            sys.exit(run(arguments.data, arguments.port, command))


if __name__ == "__main__":
    main()
