"""Benchmark of pruned GGUF files: `python -m benchmarks.prune_files --namespace NAMESPACE --size smollm2-135m`.

A family on the Hub and what `training.prune` made of it, each as the GGUF files that `hub.gguf` publishes: megabytes,
and how many of llama.cpp's greedy replies to test prompts are the same, every variant merged and each side asked in its
own token ids. llama.cpp's server is the one that `make engines` sets up.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.engine_servers import SERVER_KINDS, ServedModels, serving
from benchmarks.harness import finish_benchmark
from chat.engine.openai_server import RemoteEngine
from chat.sampling import Sampling
from chat.template import Message, load_tokenizer
from chat.variants import VARIANTS
from hub.errors import UserError, one_line_errors
from hub.gguf.export import export
from hub.lineage import pin
from hub.names import Names

LLAMA = SERVER_KINDS["llama-server"]
GgufFiles = dict[tuple[str, str], Path]
"""File of a merged variant and a GGUF type."""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="smollm2-135m", help="the whole family (default: %(default)s)")
    parser.add_argument("--pruned", help="size of the pruned one (default: SIZE-pruned)")
    parser.add_argument("--types", nargs="+", default=["q4_0"], help="of the files (default: q4_0)")
    parser.add_argument("--replies", type=int, default=20, help="of each variant and type (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=32, help="of a reply, at most (default: %(default)s)")
    given = parser.parse_args(argv)
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        if LLAMA.missing:
            raise UserError(LLAMA.missing)
        whole = Names(given.namespace, given.size)
        families = {"whole": whole, "pruned": Names(given.namespace, given.pruned or f"{given.size}-pruned")}
        files = {side: published_files(names, given.types) for side, names in families.items()}
        figures: dict[str, Any] = {
            f"megabytes_{variant}_{type}_{side}": round(path.stat().st_size / 1e6, 2)
            for side, found in files.items()
            for (variant, type), path in found.items()
        }
        prompts = drawn_prompts(whole, given.replies)
        sampling = Sampling(temperature=0, max_new_tokens=given.tokens)
        for type in given.types:
            said = [greedy(families[side], found, type, prompts, sampling, scratch) for side, found in files.items()]
            for variant in VARIANTS:
                both = zip(said[0][variant], said[1][variant], strict=True)
                figures[f"same_greedy_replies_{variant}_{type}"] = sum(one == other for one, other in both)
    for name, value in figures.items():
        print(f"{name}: {value}")
    finish_benchmark(figures, {})


def published_files(names: Names, types: list[str]) -> GgufFiles:
    """GGUF files of a family's variants, published where they were not."""
    from huggingface_hub import snapshot_download

    files: GgufFiles = {}
    for variant in VARIANTS:
        export(names, variant, types)
        folder = Path(snapshot_download(names.adapter(f"{variant}-gguf")))
        files |= {(variant, type): next(folder.glob(f"*-{type.upper()}.gguf")) for type in types}
    return files


def drawn_prompts(names: Names, count: int) -> list[list[Message]]:
    """Prompts of the test films, drawn by seed."""
    from training.base.pruned_base import prompt_replies
    from training.data.encode import published_pairs

    return [prompt for prompt, _ in prompt_replies(published_pairs(pin(names.dialogue, "dataset"), count, 1, "test"))]


def greedy(
    names: Names, files: GgufFiles, type: str, prompts: list[list[Message]], sampling: Sampling, scratch: str
) -> dict[str, list[str]]:
    """Replies of llama.cpp to the prompts, by variant."""
    models = ServedModels(Path(), {}, {}, {variant: files[variant, type] for variant in VARIANTS}, {})
    adapter = pin(names.adapter("sft"), "model")
    with (
        serving(LLAMA, models, Path(scratch) / "server.log") as running,
        closing(RemoteEngine(running.servers, load_tokenizer(adapter.repo, adapter.revision))) as engine,
    ):
        return {
            variant: [reply.text for reply in engine.replies(prompts, [variant] * len(prompts), sampling, 1)]
            for variant in VARIANTS
        }


if __name__ == "__main__":
    main()
