"""`.venv/bin/python -m tests.support.conformance` writes the table of client calls into docs/hub.md.

Each row is a call that a client of somebody else's making sends to the local Hub, and what must come of it. The tests
run every row (tests/hub/local/test_conformance.py) and hold the table of that page to be this one.
"""

import importlib
import os
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import warm_hub

PAGE = Path(__file__).parents[3] / "docs" / "hub.md"
PARTS = tuple(
    f"{__name__}.{part}"
    for part in (
        "repos",
        "refs",
        "files",
        "downloads",
        "spaces",
        "hf",
        "tools",
        "javascript",
        "javascript_reads",
        "libraries",
    )
)
LARGE = 10 * 1024 * 1024 + 1  # one byte more than a regular file may have
START, END = "<!-- conformance: start -->", "<!-- conformance: end -->"
UNSUPPORTED = {
    "git push": "a commit goes through the API, which checks paths and hashes; `git push` gets a 403 that says so",
    "Xet transfer, copies of large files between repositories": "the chunk store is a service of its own; large files "
    "come by LFS, and huggingface_hub copies them between repositories through Xet alone",
    "pull requests, discussions, likes, access requests, gated repositories": "for strangers who meet, and this Hub "
    "is one household (`create_pr=True` gets a 400 that says so, and so does datasets' delete_from_hub)",
    "organizations, fine-grained tokens, OAuth": "a token reads or writes, everywhere; namespaces belong to nobody",
    "redirects from a moved repository's old name": "the old name is free at once, and asking for it is a 404",
    "backslashes in paths": "on Windows they lead out of a folder; a path that has one is a 422",
    "permanently_delete_lfs_files": "it rewrites published history; delete the repository, or squash it",
    "docker Spaces, dev mode, hot reload, volumes that mount": "a Space runs here as a process, not in a "
    "container: `sdk: gradio`, or `static`; volumes are kept and answered, not mounted",
    "Jobs, inference endpoints, webhooks, buckets, papers, dataset viewer": "services beside the repositories, with "
    "machines or hosts of their own",
    "semantic search of Spaces, tags by type, leaderboards, eval results": "they need an index over the whole Hub",
    "hf:// in polars": "polars has the address of the real Hub compiled in; use HTTP addresses",
}


@dataclass
class Hub:
    """What a row is given: a namespace of its own on a running local Hub."""

    url: str
    tmp: Path
    namespace: str = field(default_factory=lambda: f"ns-{uuid.uuid4().hex[:8]}")

    @property
    def api(self):
        from huggingface_hub import HfApi

        return HfApi()

    @property
    def token(self) -> str:
        return os.environ["HF_TOKEN"]

    def repo(self, type: str = "model", name: str = "repo", **files: str | bytes) -> str:
        """A new repository with files; `a__b_txt` stands for `a/b.txt`."""
        from huggingface_hub import CommitOperationAdd

        repo, sdk = f"{self.namespace}/{name}", {"space_sdk": "gradio"} if type == "space" else {}
        self.api.create_repo(repo, repo_type=type, **sdk)
        adds = [
            CommitOperationAdd(
                path.replace("__", "/").replace("_", "."), text.encode() if isinstance(text, str) else text
            )
            for path, text in files.items()
        ]
        if adds:
            self.api.create_commit(repo, adds, commit_message="files", repo_type=type)
        return repo

    def run(self, *command: str | Path, stdin: str = "", **environment: str) -> str:
        """Runs a command to its end; returns what it printed."""
        environment = os.environ | {"NO_COLOR": "1", "GIT_TERMINAL_PROMPT": "0"} | environment
        done = subprocess.run(
            command, env=environment, cwd=self.tmp, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def hf(self, *arguments: str | Path) -> str:
        """Runs an `hf` command in a warm process; returns what it printed."""
        done = warm_hub.run(warm_hub.HF, *arguments, folder=self.tmp, NO_COLOR="1")
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Row:
    client: str
    call: str
    shows: str
    check: Callable[[Hub], None]

    def __str__(self) -> str:
        return f"{self.client}: {self.call}"


ROWS: list[Row] = []


def row(client: str, call: str, shows: str) -> Callable[[Callable[[Hub], None]], Callable[[Hub], None]]:
    """Enters a check into the table."""

    def enter(check: Callable[[Hub], None]) -> Callable[[Hub], None]:
        ROWS.append(Row(client, call, shows, check))
        return check

    return enter


def table() -> str:
    """The rows and what is not supported, in Markdown."""
    for part in PARTS:
        importlib.import_module(part)  # enters its rows

    lines = ["| client | call | what is checked |", "|---|---|---|"]
    lines += [f"| {row.client} | `{row.call}` | {row.shows} |" for row in ROWS]
    lines += ["", f"{len(ROWS)} calls. Not supported, and why:", "", "| what | why |", "|---|---|"]
    return "\n".join(lines + [f"| {what} | {why} |" for what, why in UNSUPPORTED.items()])


def in_readme() -> str:
    return PAGE.read_text().split(START)[1].split(END)[0].strip()
