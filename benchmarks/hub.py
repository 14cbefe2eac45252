"""Benchmark of the local Hub: `python -m benchmarks.hub`.

One file of 200 MB, as large as an adapter, goes up and comes down again, and so do 2,000 small files, through
huggingface_hub over real HTTP. The large one is measured against `cp` and sha256 of the same bytes, the small ones
against `git add` and `git commit` of the same set, in the same run. Memory is the server's highest resident size,
beyond what it had before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark, peak_memory, run_child, timed

BARS: dict[str, tuple[str, float]] = {"large_file_over_copy": ("<=", 8), "server_growth_mb": ("<=", 100)}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200, help="of the large file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=2000, help="small ones (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of them counts (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(arguments.megabytes, arguments.files, arguments.repeats, Path(scratch))
    finish_benchmark(figures, BARS)


def measure(megabytes: int, files: int, repeats: int, scratch: Path) -> dict[str, float]:
    """Prints the set-up and a table, and returns the figures by name."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{megabytes} MB and {files:,} files of 0.1 to 4 KB; Python {platform.python_version()}, {git}, ", end="")
    print(f"{os.cpu_count()} cores; the fastest of {repeats}", flush=True)
    large = scratch / "large" / "adapter_model.safetensors"
    small = scratch / "small"
    write_random_files(large, megabytes, small, files)
    command = [sys.executable, "-m", "hub.local", "serve", "--attached", "--port", "0", "--data", str(scratch / "hub")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        try:
            seconds, growth = over_http(url, server.pid, large, small, repeats, scratch)
        finally:
            server.kill()
    seconds["cp and sha256"] = fastest(lambda: copy(large, scratch / "copy"), repeats)
    seconds["git add and commit"] = fastest(lambda: git_commit(small, scratch / "git"), repeats)
    print("\n| what | seconds |\n|---|---:|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.2f} |")
    print(f"\nsmall files: {files / seconds['upload small']:,.0f} a second up, ", end="")
    print(
        f"{files / seconds['download small']:,.0f} down; git {files / seconds['git add and commit']:,.0f}", flush=True
    )
    both = seconds["upload large"] + seconds["download large"]
    return {
        "large_file_over_copy": round(both / seconds["cp and sha256"], 2),
        "small_files_over_git": round(seconds["upload small"] / seconds["git add and commit"], 2),
        "server_growth_mb": round(growth, 1),
        **{f"{name.replace(' ', '_')}_seconds": round(value, 2) for name, value in seconds.items()},
    }


def write_random_files(large: Path, megabytes: int, small: Path, files: int) -> None:
    """Writes one file of so many MB, and so many of 0.1 to 4 KB in 40 folders."""
    rng = random.Random(1)
    large.parent.mkdir()
    with large.open("wb") as file:
        for _ in range(megabytes):
            file.write(rng.randbytes(1_000_000))
    for number in range(files):
        path = small / f"{number % 40:02}" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(rng.randint(100, 4_000)))


def over_http(
    url: str, server: int, large: Path, small: Path, repeats: int, scratch: Path
) -> tuple[dict[str, float], float]:
    """Seconds by what was done, and the MB that the server grew by; the client is a process of its own."""
    from hub.local import client_environment

    environment = os.environ | client_environment(url, scratch / "hub") | {"HF_HOME": str(scratch / "home")}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    parameters = json.dumps([server, str(large), str(small), repeats, str(scratch)])
    code = f"import json; from benchmarks.hub import client; print(json.dumps(client(*json.loads({parameters!r}))))"
    output = run_child([sys.executable, "-c", code], "the client of the local Hub", environment)
    seconds, growth = json.loads(output.splitlines()[-1])
    return seconds, growth


def client(server: int, large: str, small: str, repeats: int, scratch: str) -> tuple[dict[str, float], float]:
    """What a client of huggingface_hub does, each time to a repository of its own, and with no cache."""
    from huggingface_hub import HfApi, snapshot_download

    api, down = HfApi(), Path(scratch) / "down"
    api.create_repo("bench/warm")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="bench/warm")
    before, seconds = peak_memory(server) / 1e6, dict[str, float]()
    for number in range(repeats):
        for kind, folder in (("large", str(Path(large).parent)), ("small", small)):
            repo = f"bench/{kind}-{number}"
            api.create_repo(repo)
            if kind == "large" and number:  # the Hub has the bytes already, and would not ask for them
                drop_large_files(Path(scratch) / "hub")
            up = partial(api.upload_folder, folder_path=folder, repo_id=repo)
            keep_fastest(seconds, f"upload {kind}", timed(up))
            keep_fastest(seconds, f"download {kind}", timed(partial(snapshot_download, repo, local_dir=down)))
            shutil.rmtree(down)
    return seconds, peak_memory(server) / 1e6 - before


def drop_large_files(data: Path) -> None:
    """Takes the large files away under the server: it looks for them each time."""
    for folder in (data / "large").iterdir():
        shutil.rmtree(folder)


def keep_fastest(seconds: dict[str, float], name: str, value: float) -> None:
    """Keeps the smaller of two times."""
    seconds[name] = min(seconds.get(name, value), value)


def copy(source: Path, target: Path) -> None:
    """Copies a file by `cp`, and hashes the copy."""
    subprocess.run(["cp", str(source), str(target)], check=True)
    subprocess.run(["sha256sum", str(target)], check=True, stdout=subprocess.DEVNULL)


def git_commit(source: Path, folder: Path) -> None:
    """Commits a folder's files to a new repository."""
    shutil.rmtree(folder, ignore_errors=True)
    git = ["git", "--git-dir", str(folder), "--work-tree", str(source), "-c", "user.name=a", "-c", "user.email=a@b"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *step], check=True, cwd=source)


def fastest(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of some calls."""
    return min(timed(work) for _ in range(repeats))


if __name__ == "__main__":
    main()
