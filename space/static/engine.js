// The engine: llama.cpp in WebAssembly (wllama), one copy of the base with both adapters on it.
import { hideControlTokens } from "./gguf.js";
import { renderPrompt } from "./prompt.js";
import { LABELS } from "./replies.js";
import { Wllama } from "./vendor/wllama-3.13.0/index.js";

const WASM = "vendor/wllama-3.13.0/wllama.wasm";
const COMPAT = { worker: "vendor/wllama-compat-3.13.0/wllama.js", wasm: "vendor/wllama-compat-3.13.0/wllama.wasm" };
/** For Safari, which cannot suspend WebAssembly: slower, and downloaded by it alone. */

const SHARD = (place, count) => `models/model-${String(place).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.gguf`;
/** wllama's name of the n-th file that it is given: adapters are loaded by it. */

const hasGpu = async () => {
  try { return Boolean(await navigator.gpu?.requestAdapter()); } catch { return false; }
};

/** A file as wllama reads it: a megabyte at a time, some hundred times over, which takes seconds out of a stored file. */
class InMemory extends Blob {
  static async of(blob) { return new InMemory(await blob.arrayBuffer()); }
  constructor(bytes) { super(); this.bytes = bytes; }
  get size() { return this.bytes.byteLength; }
  slice(from, to) { const { bytes } = this; return { arrayBuffer: async () => bytes.slice(from, to) }; }
  stream() { return new Response(this.bytes).body; }
  release() { this.bytes = new ArrayBuffer(0); }
}

export class Engine {
  /** Loads a base, and the adapters that there are: `files` is {variant: Blob}, `base` among them. */
  static async open(files, settings, { threads = null, gpu = null, cache = "f16" } = {}) {
    const { file, names, ids } = await hideControlTokens(files.base);
    const adapters = Object.keys(files).filter((variant) => variant !== "base");
    const blobs = await Promise.all([file, ...adapters.map((variant) => files[variant])].map(InMemory.of));
    const load = async (layers) => {
      const here = (path) => new URL(path, import.meta.url).href;
      const wllama = new Wllama({ default: here(WASM) }, { suppressNativeLog: true, logger: QUIET });
      wllama.setCompat({ worker: here(COMPAT.worker), wasm: here(COMPAT.wasm) });
      await wllama.loadModel(blobs, {
        n_ctx: settings.context, n_parallel: 1, n_gpu_layers: layers, warmup: false, cache_type_k: cache, cache_type_v: cache,
        flash_attn: cache === "f16", kv_overrides: stopTokens(settings.stop, ids), lora_init_without_apply: true,
        lora_adapters: adapters.map((_, place) => ({ path: SHARD(place + 2, blobs.length) })),
        ...(threads ? { n_threads: threads } : {}),
      });
      skipBrokenPieces(wllama.proxy);
      return wllama;
    };
    let wllama, used = (gpu ?? await hasGpu()) ? "WebGPU" : "";
    try {
      wllama = await load(used ? 99999 : 0);
    } catch (error) {
      if (!used) throw error;
      [used, wllama] = ["", await load(0)]; // what the graphics card cannot do, the processor can
    }
    blobs.forEach((blob) => blob.release());
    return new Engine(wllama, { names, normalize: settings.normalize }, adapters, used);
  }

  constructor(wllama, format, adapters, gpu) {
    [this.wllama, this.format, this.adapters] = [wllama, format, adapters];
    const count = wllama.getNumThreads();
    this.runsOn = gpu || (count > 1 ? `${count} threads` : "one thread");
    this.variants = Object.keys(LABELS).filter((variant) => variant === "base" || adapters.includes(variant));
  }

  /** A reply of a variant: {text, ended, tokens, prompt, seconds, perSecond}; `onText` gets the text as far as it has come. */
  async reply(variant, messages, { temperature, top_k, top_p, max_new_tokens, seed }, { signal, onText = () => {} } = {}) {
    let text = "", last = null;
    const started = performance.now();
    await this.wllama.createCompletion({
      prompt: renderPrompt(messages, this.format),
      max_tokens: max_new_tokens, seed, stream: true, cache_prompt: false, abortSignal: signal,
      temperature, top_k, top_p, min_p: 0, typical_p: 1, penalty_repeat: 1, repeat_penalty: 1,
      samplers: ["temperature", "top_k", "top_p"], // in the order of chat.sampling
      lora: this.adapters.map((name, id) => ({ id, scale: name === variant ? 1 : 0 })),
      onData: (chunk) => {
        last = chunk;
        const more = chunk.choices?.[0]?.text;
        if (more) onText(text += more);
      },
    });
    const { timings } = last;
    return {
      text, ended: last.choices[0].finish_reason === "stop", tokens: timings.predicted_n, prompt: timings.prompt_n,
      seconds: (performance.now() - started) / 1000, perSecond: timings.predicted_per_second,
    };
  }

  close() { return this.wllama.exit(); }
}

/** Metadata that name the stop tokens: llama.cpp knows them by their names, and those are hidden. */
const stopTokens = (stop, ids) => {
  const kinds = ["eos", "eot", "eom"];
  if (stop.length > kinds.length || !stop.every((token) => ids.has(token))) throw new Error(`the stop tokens ${stop.join(", ")} cannot be told to llama.cpp`);
  const named = stop.map((token, place) => [`tokenizer.ggml.${kinds[place]}_token_id`, `int:${ids.get(token)}`]);
  return Object.fromEntries([...named, ["", "int:0"]]); // an empty name ends the list
};

/**
 * A piece of a reply that is no UTF-8 (a byte token out of its place) cannot be written as JSON by wllama 3.13: llama.cpp
 * throws, the null that stands for the answer is read as one, and that fails. The model itself goes on with the next
 * piece; in the place of the lost one stands what a decoder would put there.
 */
const skipBrokenPieces = (proxy) => {
  const act = proxy.wllamaAction.bind(proxy);
  const lost = { has_more: true, is_error: false, data_json: JSON.stringify({ choices: [{ text: "\ufffd" }] }) };
  let broken = 0;
  proxy.wllamaAction = async (name, body) => {
    try {
      const answer = await act(name, body);
      if (name === "completion") broken = 0;
      return answer;
    } catch (error) {
      const crashed = /^\(ABORT\)|has crashed/.test(error?.message ?? String(error));
      if (name !== "get_result" || crashed || ++broken > MOST_BROKEN) throw error;
      return lost;
    }
  };
};

const MOST_BROKEN = 64; // pieces of one reply: as many as it has tokens

const QUIET = { debug() {}, log() {}, warn() {}, error() {} };
