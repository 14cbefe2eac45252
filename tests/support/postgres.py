"""A PostgreSQL server from Debian's package, for one test: a cluster in a folder of its own, on a port of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path | None:
    """The folder of the newest initdb and pg_ctl, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """A running server; yields its address. It refuses to run as root, and is then run as the package's own user."""
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine: `apt-get install postgresql` to search on one")
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL: pip install 'psycopg[binary]'")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        shutil.chown(home, "postgres")

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*as_user, str(folder / program), *arguments], check=True, cwd=home, stdout=subprocess.DEVNULL)

    cluster = str(home / "cluster")
    try:
        run("initdb", "-D", cluster, "-U", "searcher", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-D", cluster, "-w", "-t", "120", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield f"postgresql://searcher@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", cluster, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)
