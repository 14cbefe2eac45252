"""llama.cpp's own server, run by an interpreter that has xllamacpp: `PYTHON benchmarks/llama_server.py MODEL PORT`.

xllamacpp's wheel holds the code of `llama-server`, built, so that nothing is compiled here. Imports nothing of ours: it
runs in an environment of its own. LoRA files are loaded with scale 0, until `/lora-adapters` gives them another:
`lora_init_without_apply` leaves them at 1, and every answer is then of both adapters at once (build 11549). With such
files no prompt is cached: the server takes what one scale has computed for an answer of another.
"""

import argparse
import signal
import threading


def main() -> None:
    """Serves until it is told to end."""
    import xllamacpp

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="GGUF file")
    parser.add_argument("port", type=int, help="of 127.0.0.1")
    parser.add_argument("--alias", default="base", help="what the model is called (default: %(default)s)")
    parser.add_argument("--lora", nargs="*", default=[], help="GGUF files of adapters")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--slots", type=int, default=8, help="answers at one time (default: %(default)s)")
    parser.add_argument("--context", type=int, default=512, help="tokens of a slot (default: %(default)s)")
    parser.add_argument("--float32", action="store_true", help="keys and values in float32, no flash attention")
    given = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.model_alias = {given.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = given.port
    params.n_parallel = given.slots
    params.n_ctx = given.slots * given.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in given.lora]
    if given.float32:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_prompt = not given.lora
    server = xllamacpp.Server(params)
    print(xllamacpp.BUILD_INFO, server.listening_address, flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
