// A worker that downloads one file: it hashes while it writes, goes on where a cut left it, and keeps only what is right.
import "./vendor/hash-wasm-4.12.0/sha256.umd.min.js";

const PIECE = 8 << 20, TRIES = 4;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

class Refused extends Error {
  constructor(kind, detail) {
    super(kind);
    [this.kind, this.detail] = [kind, detail];
  }
}

onmessage = async ({ data: file }) => {
  const root = await navigator.storage.getDirectory(), part = `${file.sha256}.part`;
  let access = null;
  try {
    const handle = await root.getFileHandle(part, { create: true });
    access = await handle.createSyncAccessHandle().catch(() => { throw new Refused("busy"); });
    const hash = await download(file, access);
    access.flush();
    access.close();
    access = null;
    if (hash !== file.sha256) {
      await root.removeEntry(part);
      throw new Refused("hash");
    }
    await handle.move(`${file.sha256}.gguf`);
    postMessage({ done: true });
  } catch (error) {
    const have = access?.getSize() ?? 0;
    access?.close();
    if (error.name === "QuotaExceededError") postMessage({ kind: "space", have });
    else if (error instanceof Refused) postMessage({ kind: error.kind, detail: error.detail, have });
    else postMessage({ kind: have ? "cut" : "down", have });
  }
};

/** Writes what is missing of a file, in as many requests as it takes; returns the sha256 of the whole. */
const download = async (file, access) => {
  const hasher = await globalThis.hashwasm.createSHA256();
  let have = resume(file, access, hasher);
  for (let attempt = 1; have < file.size; attempt++) {
    const before = have;
    try {
      const answer = await fetch(file.url, have ? { headers: { Range: `bytes=${have}-` } } : {});
      if (!answer.ok) throw new Refused(answer.status >= 500 ? "down" : "missing", String(answer.status));
      if (have && answer.status !== 206) have = restart(access, hasher);
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (have + value.length > file.size) throw new Refused("hash");
        access.write(value, { at: have });
        hasher.update(value);
        have += value.length;
        told(have);
      }
    } catch (error) {
      if (error instanceof Refused && error.kind !== "down") throw error;
      if (error.name === "QuotaExceededError") throw error;
      if (have > before) attempt = 0; // it goes on, if slowly
      if (attempt >= TRIES) throw error;
      await pause(attempt / 2);
    }
  }
  postMessage({ have });
  return hasher.digest("hex");
};

const restart = (access, hasher) => {
  access.truncate(0);
  hasher.init();
  return 0;
};

/** Hashes what an earlier visit has left. */
const resume = (file, access, hasher) => {
  const size = access.getSize();
  if (size > file.size) return restart(access, hasher);
  const piece = new Uint8Array(PIECE);
  for (let at = 0; at < size;) {
    const read = access.read(piece, { at });
    hasher.update(piece.subarray(0, read));
    at += read;
  }
  return size;
};

let last = 0;
const told = (have) => {
  if (Date.now() - last < 100) return;
  last = Date.now();
  postMessage({ have });
};
