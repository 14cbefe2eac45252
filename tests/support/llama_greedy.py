"""Run by an interpreter that has llama-cpp-python: greedy ids for prompts of ids, and how it reads text.

Reads JSON from stdin: model, lora (or null), prompts (lists of ids), texts, stops, most. Float32 cache, one thread.
"""

import json
import sys

import numpy
from llama_cpp import GGML_TYPE_F32, Llama

job = json.load(sys.stdin)
llama = Llama(
    job["model"], lora_path=job["lora"], n_ctx=512, n_threads=1, n_threads_batch=1, type_k=GGML_TYPE_F32,
    type_v=GGML_TYPE_F32, flash_attn=False, verbose=False, logits_all=False,
)  # fmt: skip
replies = []
for prompt in job["prompts"]:
    llama.reset()
    llama.eval(prompt)
    ids = []
    while len(ids) < job["most"] and not (ids and ids[-1] in job["stops"]):
        ids.append(int(numpy.argmax(llama._ctx.get_logits_ith(-1)[: llama.n_vocab()])))
        llama.eval(ids[-1:])
    replies.append(ids)
read = [llama.tokenize(text.encode(), add_bos=False, special=True) for text in job["texts"]]
json.dump({"replies": replies, "read": read, "template": llama.metadata["tokenizer.chat_template"]}, sys.stdout)
