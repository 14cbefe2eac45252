"""llama.cpp as the peer of `benchmarks.serve`: `PYTHON benchmarks/llama_peer.py MODEL THREADS`, a process of its own.

PYTHON has llama-cpp-python and gguf, and needs nothing of ours. MODEL is a GGUF file, or a folder, whose weights are
written as one, layers and embeddings in Q4_0. Then each line of JSON on the standard input, {"prompt": ids, "tokens":
count}, is answered greedily without an end, by one line with the seconds that it took.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
Q4 = gguf.GGMLQuantizationType.Q4_0


def main() -> None:
    """Writes the model, then answers line by line."""
    path, threads = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        if path.is_dir():
            folder, path = path, Path(scratch) / "model.gguf"
            write_gguf(folder, path)
        context = open_context(path, threads)
        build = llama_cpp.__version__ + (" (its AMX kernels off)" if has_amx() else "")
        print(json.dumps({"version": build, "bytes": path.stat().st_size}), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(context, **json.loads(line))), flush=True)


def write_gguf(folder: Path, path: Path) -> None:
    """Writes a Qwen 2 of one safetensors file, tied, without a vocabulary of words: ids go in and come out."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    for name, values in tensors(folder / "model.safetensors"):
        if values.ndim == 2:
            writer.add_tensor(renamed(name), gguf.quants.quantize(values, Q4), raw_dtype=Q4)
        else:
            writer.add_tensor(renamed(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def renamed(name: str) -> str:
    """GGUF name of a tensor."""
    name = name.removeprefix("model.")
    if not name.startswith("layers."):
        return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]
    _, layer, rest = name.split(".", 2)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[module]}.{kind}"


def tensors(path: Path) -> Any:
    """Yields name and float32 array of each bfloat16 or float32 tensor: a header's length, the header, the bytes."""
    raw = np.memmap(path, np.uint8, "r")
    length = int(raw[:8].view(np.uint64)[0])
    for name, entry in json.loads(bytes(raw[8 : 8 + length])).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        data = raw[8 + length + begin : 8 + length + end]
        wide = data.view(np.uint16).astype(np.uint32) << 16 if entry["dtype"] == "BF16" else data.view(np.uint32)
        yield name, np.ascontiguousarray(wide).view(np.float32).reshape(entry["shape"])


def open_context(path: Path, threads: int) -> Any:
    """Context of llama.cpp with a model, for 512 tokens."""
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    open_context.silent = silent  # type: ignore[attr-defined]  # as long as the library may call it
    given = llama_cpp.llama_model_default_params()
    given.use_extra_bufts = not has_amx()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), given)
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_threads, options.n_threads_batch = 512, threads, threads
    context = llama_cpp.llama_init_from_model(model, options)
    if not context:
        raise SystemExit(f"llama.cpp could not open {path}")
    return context


def has_amx() -> bool:
    """Whether this build has kernels for AMX, whose first step on Q4_0 is a segmentation fault in 0.3.36.

    With them go the other repacked weights: a build without AMX is the fairer peer (CMAKE_ARGS=-DGGML_NATIVE=OFF ...).
    """
    return b"AMX" in llama_cpp.llama_print_system_info()


def answer(context: Any, prompt: list[int], tokens: int) -> dict[str, Any]:
    """Prefill of a prompt, and so many decode steps, greedily."""
    model = llama_cpp.llama_get_model(context)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    started = time.perf_counter()
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    reply: list[int] = []
    while len(reply) < tokens:
        new = reply[-1:] or prompt
        ids = (llama_cpp.llama_token * len(new))(*new)  # the batch points into it
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(new))):
            raise SystemExit("llama.cpp could not decode")
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(vocabulary,))
        reply.append(int(logits.argmax()))
        if len(reply) == 1:
            first = time.perf_counter() - started
    return {"seconds": time.perf_counter() - started, "first": first, "reply": reply}


if __name__ == "__main__":
    main()
