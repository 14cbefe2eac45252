"""`python -m hub.local serve [--port N]`, `run [--data DIR] -- COMMAND`, or `token [--role read]`."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from hub.errors import UserError, one_line_errors
from hub.local import DATA, NotStarted, client_environment, running
from hub.local.disk import exclusive
from hub.local.tokens import ROLES, USER, Tokens, add_token, token_of, tokens_of
from hub.proxies import unusable


def serve(data: Path, port: int, attached: bool, run_spaces: bool, host: str) -> None:
    """Serves until stopped; attached to a parent process, tells it the address and stops when it is gone.

    Raises:
        UserError: the port is taken, or another server has the data folder.
    """
    import uvicorn

    from hub.local.app import build_app
    from hub.local.runner import Runner
    from hub.local.store import Store

    with listen(host, port) as listening, exclusive(data):
        tokens_of(data)
        tokens = Tokens(data, os.environ.get("HF_TOKEN"))  # the token that its clients will have, if they have one
        url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{listening.getsockname()[1]}"
        app = build_app(Store(data), tokens, Runner(data.resolve() / "running") if run_spaces else None, url)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                date_header=False,  # the application writes its own
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
            )
        )
        if attached:
            threading.Thread(target=stop_with_parent, args=[server], daemon=True).start()
            print(url, flush=True)
        else:
            print(f"The local Hub is open at {url}; stop it with Ctrl-C. For its clients:", flush=True)
            settings = client_environment(url, data) | {"HF_TOKEN": token_of(data)}
            print("export " + " ".join(f"{name}={value}" for name, value in settings.items()), flush=True)
        server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: who connects before the server is ready waits in the queue."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UserError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    return listening


def stop_with_parent(server: object) -> None:
    """Waits for the end of standard input, which the parent holds open while it lives."""
    while os.read(0, 4096):
        pass
    server.should_exit = True  # type: ignore[attr-defined]


def run_with_hub(data: Path, port: int, command: list[str], run_spaces: bool) -> int:
    """Runs a command against a server of its own; returns its exit status (128 + the signal that killed it).

    Raises:
        UserError: the command cannot be started.
    """
    if left_out := unusable(os.environ):
        print(
            f"{', '.join(left_out)}: httpx cannot use such a proxy; the command gets none", file=sys.stderr, flush=True
        )
    with running(data, port, run_spaces) as url:
        try:
            child = subprocess.Popen(command, env=os.environ | client_environment(url, data))
        except OSError as error:
            raise UserError(f"{command[0]}: no such command ({error.strerror})") from error

        def forward(number: int, frame: FrameType | None) -> None:
            if number != signal.SIGINT or not is_ctrl_c():
                child.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, forward)
        status = child.wait()
    return status if status >= 0 else 128 - status


def is_ctrl_c() -> bool:
    """Whether a SIGINT is a Ctrl-C: then the terminal has sent it to the command as well."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def port_number(text: str) -> int:
    """A TCP port from the command line; 0 is any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; choose one up to 65535")
    return int(text)


def read_arguments() -> argparse.Namespace:
    """The command line of `python -m hub.local`."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="verb", required=True)
    for verb, port in (("serve", 8765), ("run", 0)):
        sub = commands.add_parser(verb)
        sub.add_argument("--data", type=Path, default=DATA, help="where repositories are kept (default: %(default)s)")
        sub.add_argument("--port", type=port_number, default=port, help="0 is any free one (default: %(default)s)")
        sub.add_argument("--run-spaces", action="store_true", help="run each Space's app.py here, as this user")
        if verb == "serve":
            sub.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
            sub.add_argument("--attached", action="store_true", help="print the address alone; stop when stdin ends")
        else:
            sub.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    token = commands.add_parser("token", help="make one more token and print it")
    token.add_argument("--data", type=Path, default=DATA, help="where repositories are kept (default: %(default)s)")
    token.add_argument("--user", default=USER, help="whose it is (default: %(default)s)")
    token.add_argument("--role", choices=ROLES, default="read", help="what it allows (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Runs one of serve, run and token."""
    arguments = read_arguments()
    with one_line_errors():
        if arguments.verb == "serve":
            serve(arguments.data, arguments.port, arguments.attached, arguments.run_spaces, arguments.host)
            return
        if arguments.verb == "token":
            print(add_token(arguments.data, arguments.user, arguments.role))
            return
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        if not command:
            raise UserError("nothing to run; write: python -m hub.local run -- COMMAND")
        try:
            sys.exit(run_with_hub(arguments.data, arguments.port, command, arguments.run_spaces))
        except NotStarted:
            sys.exit(1)


if __name__ == "__main__":
    main()
