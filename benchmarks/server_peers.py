"""Servers as peers of `benchmarks.serve`: vLLM on a CPU and llama.cpp's own, each over HTTP with the same adapters.

Each is the server that a newcomer would start, at its own defaults but for what is stated here, on as many threads as
the engine. Answers are greedy and of full length (`ignore_eos`), prompts are token ids, replies stream.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.engine_servers import SERVER_KINDS, RunningServers, ServedModels, ServerKind, serving
from chat.variants import VARIANTS, ModelRef
from hub.errors import UserError

SERVERS = ("vllm", "llama-server")


@dataclass(frozen=True)
class ServerPeer:
    """A server with one setting of it, and the files it reads."""

    name: str
    kind: ServerKind
    models: ServedModels

    def fields(self, variant: str) -> dict[str, Any]:
        """What a request for a variant has beside the prompt: a model's name, or the scales of LoRA files."""
        if self.kind.adapters == "modules":
            return {"model": variant}
        return {"lora": [{"id": at, "scale": float(variant == name)} for at, name in enumerate(self.models.adapters)]}


def installed_peers(
    folder: Path, adapters: Mapping[str, ModelRef], scratch: Path, servers: Collection[str], threads: int
) -> list[ServerPeer]:
    """The peers that `make engines` has set up here, with a shape's models in the form each reads.

    Args:
        folder: the base, in bf16.
        adapters: folder of each LoRA adapter, by variant.
        scratch: where GGUF files are written.
        servers: names of those that are wanted, of SERVERS.
        threads: of each server.
    """
    paths = {name: without_tokens(Path(ref.repo), scratch) for name, ref in adapters.items()}
    models = ServedModels(folder, paths, {}, {}, {})
    found = []
    if "vllm" in servers and not SERVER_KINDS["vllm"].missing:
        environment = {**SERVER_KINDS["vllm"].environment, "OMP_NUM_THREADS": str(threads)}
        kind = replace(SERVER_KINDS["vllm"], command=vllm_command, environment=environment)
        found.append(ServerPeer("vLLM, bf16", kind, models))
    if "llama-server" in servers and not SERVER_KINDS["llama-server"].missing:
        for type in ("q4_0", "q8_0"):
            base, files = write_gguf(folder, paths, type, scratch)
            kind = replace(SERVER_KINDS["llama-server"], command=llama_command(threads), one_process=True)
            found.append(
                ServerPeer(
                    f"llama-server, {type.upper()}", kind, replace(models, gguf={"base": base}, gguf_adapters=files)
                )
            )
    return found


def vllm_command(models: ServedModels, variant: str, port: int) -> list[str]:
    """In bf16, with its own scheduler and compiler; one LoRA slot stays empty, for the base's rows (docs/engine.md)."""
    modules = [f"{name}={folder}" for name, folder in models.adapters.items()]
    return [
        "serve", str(models.base), "--served-model-name", "base", "--host", "127.0.0.1", "--port", str(port),
        "--enable-lora", "--max-loras", str(len(modules) + 1), "--max-lora-rank", "16", "--lora-modules", *modules,
        "--dtype", "bfloat16", "--max-model-len", "512",
    ]  # fmt: skip


def llama_command(threads: int) -> Any:
    """llama.cpp's server with eight slots (`-np 8`) and the adapters as LoRA files."""

    def command(models: ServedModels, variant: str, port: int) -> list[str]:
        files = [str(path) for path in models.gguf_adapters.values()]
        script = str(Path(__file__).with_name("llama_server.py"))
        return [
            script,
            str(models.gguf["base"]),
            str(port),
            "--threads",
            str(threads),
            "--slots",
            "8",
            "--lora",
            *files,
        ]

    return command


def without_tokens(adapter: Path, scratch: Path) -> Path:
    """A folder with the adapter's linear layers alone, for vLLM refuses trained tokens; they cost no time."""
    from safetensors.torch import load_file, save_file

    folder = scratch / f"{adapter.name}-linear"
    folder.mkdir(exist_ok=True)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "trainable_token_indices": None}))
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: one for name, one in weights.items() if ".lora_" in name}, folder / "adapter_model.safetensors")
    return folder


def write_gguf(folder: Path, adapters: Mapping[str, Path], type: str, scratch: Path) -> tuple[Path, dict[str, Path]]:
    """A base in a GGUF type, and adapters of linear layers alone (`without_tokens`) in f16."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from chat.template import load_tokenizer
    from hub.gguf.writer import write_adapter, write_model

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = load_tokenizer(str(folder), None)
    base = write_model(scratch / f"{folder.name}-{type}.gguf", model, tokenizer, folder.name, type)
    files = {}
    for name, path in adapters.items():
        config = json.loads((path / "adapter_config.json").read_text())
        tensors = load_file(path / "adapter_model.safetensors")
        modules = {key.removeprefix("base_model.model.").partition(".lora_")[0] for key in tensors}
        scales = dict.fromkeys(modules, config["lora_alpha"] / config["r"])
        file = scratch / f"{path.name}.gguf"
        files[name] = write_adapter(file, tensors, config["lora_alpha"], scales, (), {}, model.config, "f16")
    return base, files


class RunningPeer:
    """A peer that answers."""

    def __init__(self, peer: ServerPeer, running: RunningServers) -> None:
        self.peer, self.running = peer, running

    def ask(self, variant: str, prompt: list[int], tokens: int) -> tuple[float, float]:
        """Seconds to the end and to the first token of one answer.

        Raises:
            UserError: it did not have so many tokens.
        """
        started, first, said = time.perf_counter(), 0.0, 0
        for event in self.events({"prompt": prompt, "max_tokens": tokens, **self.peer.fields(variant)}):
            if event.get("choices"):
                first = first or time.perf_counter() - started
            said = (event.get("usage") or {}).get("completion_tokens", said)
        if said != tokens:
            raise UserError(f"{self.peer.name} gave an answer of {said} tokens where {tokens} were asked for")
        return time.perf_counter() - started, first

    def events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The parts of one streamed answer."""
        every = {"temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
        request = urllib.request.Request(
            f"{self.running.server('base').url}/completions",
            json.dumps({**every, **body}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    yield json.loads(line[len(b"data: ") :])

    def memory(self) -> float:
        """Bytes of its processes in memory; what several share is counted once (PSS)."""
        import psutil

        total = 0.0
        for process in self.running.processes.values():
            first = psutil.Process(process.pid)
            total += sum(one.memory_full_info().pss for one in (first, *first.children(recursive=True)))
        return total


@contextmanager
def answering(peer: ServerPeer, log: Path, prompt: list[int]) -> Iterator[tuple[RunningPeer, float]]:
    """The peer with its first answer given, and the seconds that it took from its start."""
    started = time.perf_counter()
    with serving(peer.kind, peer.models, log) as running:
        there = RunningPeer(peer, running)
        for variant in VARIANTS:
            there.ask(variant, prompt, 2)
        yield there, time.perf_counter() - started
