"""OpenAI-compatible servers that answer for the engine: how each is started, where its health is, and what it can.

A server is one `ServerKind`. vLLM and llama.cpp's server run from environments of their own, which `make engines` sets
up; `transformers serve` runs from ours. `serving` runs one on 127.0.0.1, on the folders and files of `ServedModels`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chat.engine.openai_formats import Server
from chat.variants import VARIANTS
from hub.local import free_port

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class ServedModels:
    """One base and its adapters, in each form that some server takes."""

    base: Path
    """Folder of the base."""
    adapters: Mapping[str, Path]
    """Folder of each LoRA adapter, by variant."""
    merged: Mapping[str, Path]
    """Folder of each variant as a model of its own, in float32; the base's is `base`."""
    gguf: Mapping[str, Path]
    """The same as GGUF files."""
    gguf_adapters: Mapping[str, Path]
    """LoRA adapters as GGUF files."""


@dataclass(frozen=True)
class ServerKind:
    """A server: how it is started, and what it can."""

    name: str
    program: Path
    """What must be there; where it is not, the server is not installed."""
    command: Callable[[ServedModels, str, int], list[str]]
    """Arguments of the program for models, variant and port. Of a server of all variants the variant is `base`."""
    model: Callable[[ServedModels, str], str]
    """What a variant is called there."""
    one_process: bool
    """Whether one process serves all variants; else each has its own."""
    dialect: str
    """The first of `openai_formats.DIALECTS` that it understands."""
    adapters: str | None
    """What its LoRA adapters are: `modules` that are models by name, `files` that are scaled; None: it takes none."""
    seeds: bool
    """Whether a seed makes an answer repeatable."""
    logprobs: int
    """Alternatives that it gives with a token of a chat, of 20 that are asked for."""
    near_tie: float = 0.0
    """Greedy answers may part from ours where the two best logits are nearer to each other than this."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> str | None:
        """Why it cannot be run here; None where it can."""
        return None if self.program.exists() else f"{self.name} is not installed ({self.program}); run make engines"


def vllm_command(models: ServedModels, variant: str, port: int) -> list[str]:
    """Adapters as LoRA modules, which vLLM can load and unload while it runs.

    A slot stays empty beside those of the adapters and of one that is loaded late: in a batch that has adapters vLLM on
    a CPU gives the rows of the base the last slot's weights (its index of none is -1), and an empty slot is zeros.
    """
    modules = [f"{name}={folder}" for name, folder in models.adapters.items()]
    return [
        "serve", str(models.base), "--served-model-name", "base", "--host", "127.0.0.1", "--port", str(port),
        "--enable-lora", "--max-loras", str(len(modules) + 2), "--max-cpu-loras", "4", "--max-lora-rank", "32",
        "--lora-modules", *modules, "--dtype", "float32", "--max-model-len", "1024", "--max-num-seqs", "16",
        "--enforce-eager",
    ]  # fmt: skip


def llama_command(models: ServedModels, variant: str, port: int) -> list[str]:
    """llama.cpp's server with one variant, merged; the base's process has the adapters' files too, not applied."""
    files = [str(path) for path in models.gguf_adapters.values()] if variant == "base" else []
    lora = ["--lora", *files] if files else []
    script = str(_ROOT / "benchmarks" / "llama_server.py")
    return [script, str(models.gguf[variant]), str(port), "--alias", variant, "--float32", *lora]


def transformers_command(models: ServedModels, variant: str, port: int) -> list[str]:
    """`transformers serve`, which loads whatever folder a request names as its model."""
    return ["serve", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--device", "cpu"]


def merged_folder(models: ServedModels, variant: str) -> str:
    """A variant's folder, which is its name at `transformers serve`."""
    return str(models.base if variant == "base" else models.merged[variant])


SERVER_KINDS = {
    kind.name: kind
    for kind in (
        ServerKind(
            "vllm", _ROOT / ".venv-vllm" / "bin" / "vllm", vllm_command, lambda models, variant: variant,
            one_process=True, dialect="token ids", adapters="modules", seeds=True, logprobs=20,
            near_tie=1e-2,
            environment={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "HF_HUB_OFFLINE": "1",
                         "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
        ),
        ServerKind(
            "llama-server", _ROOT / ".venv-llama" / "bin" / "python", llama_command, lambda models, variant: variant,
            one_process=False, dialect="token ids", adapters="files", seeds=True, logprobs=20,
        ),
        ServerKind(
            "transformers", Path(sys.executable).with_name("transformers"), transformers_command, merged_folder,
            one_process=True, dialect="text, with a generation config", adapters=None, seeds=True,
            logprobs=0,
        ),
    )
}  # fmt: skip
"""Servers by name."""


@dataclass
class RunningServers:
    """Processes of one kind on ports of their own; they can be killed, and started again where they were."""

    kind: ServerKind
    models: ServedModels
    log: Path
    ports: dict[str, int]
    """Port of each process, by the variant it serves; of one process for all by `base`."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def server(self, variant: str) -> Server:
        """Where a variant is served, as the remote engine takes it."""
        port = self.ports["base" if self.kind.one_process else variant]
        return Server(f"http://127.0.0.1:{port}/v1", self.kind.model(self.models, variant))

    @property
    def servers(self) -> dict[str, Server]:
        """All variants."""
        return {variant: self.server(variant) for variant in VARIANTS}

    def start(self) -> None:
        """Starts every process and waits until all are healthy.

        Raises:
            RuntimeError: one ends before, or is not healthy in time; the message has the end of its log.
        """
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"} | dict(self.kind.environment)
        for variant, port in self.ports.items():
            command = [str(self.kind.program), *self.kind.command(self.models, variant, port)]
            with self.log.open("ab") as output:
                self.processes[variant] = subprocess.Popen(
                    command, env=environment, stdout=output, stderr=output, process_group=0
                )
        for variant, port in self.ports.items():
            self._wait(variant, f"http://127.0.0.1:{port}/health")

    def pause(self) -> None:
        """SIGSTOP to every process and all that it started: they answer nothing from now on."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: what was paused goes on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to every process and all that it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Asks every process to end; kills those that do not."""
        self._end(signal.SIGTERM)

    def _signal(self, which: signal.Signals) -> None:
        for process in self.processes.values():
            os.killpg(process.pid, which)

    def _end(self, how: signal.Signals) -> None:
        for process in self.processes.values():
            try:
                os.killpg(process.pid, how)
                process.wait(20)
            except ProcessLookupError:
                process.wait()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def _wait(self, variant: str, health: str, seconds: float = 420) -> None:
        deadline = time.monotonic() + seconds
        while self.processes[variant].poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(health, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        said = self.log.read_text("utf-8", "replace")[-3000:]
        self.kill()
        raise RuntimeError(f"{self.kind.name} did not become healthy:\n{said}")


@contextmanager
def serving(kind: ServerKind, models: ServedModels, log: Path) -> Iterator[RunningServers]:
    """Runs a server of all three variants on 127.0.0.1 for as long as the block takes."""
    ports = {variant: free_port() for variant in (("base",) if kind.one_process else VARIANTS)}
    running = RunningServers(kind, models, log, ports)
    try:
        running.start()
        yield running
    finally:
        running.stop()
