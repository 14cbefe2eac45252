"""Smoke test of a Space: waits until it runs, shows its log where it fails, calls its API as a visitor would."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from hub.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def wait_until_running(api: HfApi, repo: str, commit: str, minutes: float, interval: float) -> None:
    """Waits until the Space runs this very commit.

    Raises:
        UserError: it ended otherwise, or did not get there in time; the end of its log is printed.
    """
    until, stage = time.monotonic() + 60 * minutes, ""
    while time.monotonic() < until:
        runtime = api.get_space_runtime(repo)
        if runtime.stage != stage:
            stage = runtime.stage
            print(f"{repo}: {stage}", flush=True)
        current = (runtime.raw or {}).get("sha", commit) == commit  # not every Hub says it
        if stage == "RUNNING" and current:
            return
        if current and (stage in ("PAUSED", "STOPPED", "NO_APP_FILE", "CONFIG_ERROR") or stage.endswith("_ERROR")):
            break
        time.sleep(interval)
    print_log(api, repo, build=stage == "BUILD_ERROR")
    raise UserError(f"{repo} does not run: its stage is {stage}, see its log above")


def print_log(api: HfApi, repo: str, build: bool, lines: int = 60) -> None:
    """Prints the last lines of the build or run log of a Space."""
    import httpx2

    try:
        for line in islice(list(api.fetch_space_logs(repo, build=build))[-lines:], lines):
            print(f"  | {line.rstrip()}", flush=True)
    except httpx2.TransportError as error:
        print(f"  | the log cannot be read ({error})", flush=True)


def smoke_test(api: HfApi, repo: str) -> None:
    """Asks both endpoints as a visitor's program would, with the page's own sampling.

    Raises:
        UserError: one of them does not answer.
    """
    from gradio_client import Client
    from huggingface_hub import get_token

    line = "Where were you last night?"  # the endpoints have defaults for the sampling
    calls: dict[str, Callable[[Any], bool]] = {
        "/compare": lambda answer: all(reply["tokens"] for reply in answer.values()),
        "/chat": lambda answer: bool(answer["tokens"]),
    }
    try:
        client = Client(repo, token=get_token(), verbose=False)
        for name, is_complete in calls.items():
            if not is_complete(client.predict(line, api_name=name)):
                raise UserError(f"{repo}{name} does not answer in every variant")
            print(f"{repo}{name} answers", flush=True)
    except UserError:
        raise
    except Exception as error:  # whatever a strange server makes of a client: it does not answer
        raise UserError(f"{repo} does not answer as it should ({type(error).__name__}: {error})") from error
