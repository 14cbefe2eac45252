// GGUF: gives every control token of a vocabulary a name that nobody can type, so that what a visitor writes is text.
// llama.cpp reads control tokens wherever their names stand in a prompt; a name of the same length makes a header of the
// same size, so the weights stay where they are and are not copied.

const CONTROL = 3, USER_DEFINED = 4, STRING = 8, ARRAY = 9;
const SIZES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const SHORTEST = 6; // bytes: two characters of Unicode's private use area, of 6,400 each
const FIRST_CHUNK = 4 << 20;

/** Walks through the header; calls `found(key, type, count, offset)` for each array. RangeError where bytes are missing. */
const walk = (view, found) => {
  let at = 0;
  const u32 = () => { const value = view.getUint32(at, true); at += 4; return value; };
  const u64 = () => { const value = Number(view.getBigUint64(at, true)); at += 8; return value; };
  const text = () => {
    const length = u64(), start = view.byteOffset + at;
    if (at + length > view.byteLength) throw new RangeError("a string goes on");
    at += length;
    return new TextDecoder().decode(new Uint8Array(view.buffer, start, length));
  };
  const skip = () => { const length = u64(); at += length; };
  if (u32() !== 0x46554747) throw new Error("this is no GGUF file");
  u32();
  u64();
  for (let left = u64(); left > 0; left--) {
    const key = text(), type = u32();
    if (type === STRING) text();
    else if (type === ARRAY) {
      const inner = u32(), count = u64();
      if (found(key, inner, count, at)) return;
      if (inner === STRING) for (let n = 0; n < count; n++) skip();
      else at += SIZES[inner] * count;
    } else at += SIZES[type];
  }
};

/** The control tokens: `{token, id, offset, length}` of each, the offset in bytes from the start of the file. */
export const controlTokens = (view) => {
  let tokens, types;
  walk(view, (key, inner, count, offset) => {
    if (key === "tokenizer.ggml.tokens") tokens = { count, offset };
    if (key === "tokenizer.ggml.token_type") types = { count, offset };
    return tokens && types;
  });
  if (!tokens || !types) throw new Error("the file has no vocabulary");
  const found = [];
  for (let n = 0, at = tokens.offset; n < tokens.count; n++) {
    const length = Number(view.getBigUint64(at, true)), kind = view.getInt32(types.offset + 4 * n, true);
    if (kind === CONTROL || kind === USER_DEFINED) {
      const name = new Uint8Array(view.buffer, view.byteOffset + at + 8, length);
      found.push({ token: new TextDecoder().decode(name), id: n, offset: at + 8, length });
    }
    at += 8 + length;
  }
  return found;
};

/** A name of so many bytes in UTF-8 that no other token has: private characters, drawn anew each time. */
const hiddenName = (length, taken) => {
  if (length < SHORTEST) throw new Error(`a control token of ${length} bytes is too short to be told from what people write`);
  for (;;) {
    const drawn = crypto.getRandomValues(new Uint16Array(Math.floor(length / 3)));
    const name = [...drawn].map((one) => String.fromCharCode(0xe000 + (one % 6400))).join("") + "~".repeat(length % 3);
    if (!taken.has(name)) return name;
  }
};

/** The same model with hidden names; names and ids by control token. */
export const hideControlTokens = async (file) => {
  for (let size = FIRST_CHUNK; ; size *= 4) {
    const bytes = new Uint8Array(await file.slice(0, size).arrayBuffer());
    try {
      const names = new Map(), ids = new Map(), taken = new Set();
      for (const { token, id, offset, length } of controlTokens(new DataView(bytes.buffer))) {
        const name = hiddenName(length, taken);
        taken.add(name);
        names.set(token, name);
        ids.set(token, id);
        bytes.set(new TextEncoder().encode(name), offset);
      }
      return { file: new Blob([bytes, file.slice(bytes.length)]), names, ids };
    } catch (error) {
      if (!(error instanceof RangeError) || size >= file.size) throw error;
    }
  }
};
