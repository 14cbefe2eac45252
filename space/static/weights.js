// The weights in this browser's own storage (OPFS): each file by its sha256, whole, or as a part that a download goes on with.

export class Trouble extends Error {
  /** What went wrong with a file: `kind` is hash, cut, space, down, missing or busy. */
  constructor(kind, file, detail = "") {
    super(WORDS[kind](file, detail));
    this.kind = kind;
  }
}

export const megabytes = (bytes) => `${Math.max(1, Math.round(bytes / 1e6))} MB`;
const host = (file) => new URL(file.url).host;
const WORDS = {
  hash: (file) => `What came as ${file.path} is not what was published (its sha256 differs), so it was thrown away. Reload the page to download it again; if it comes again, ${host(file)} or somebody before it changes the file.`,
  cut: (file, have) => `The download of ${file.path} was cut at ${have} of ${megabytes(file.size)}. What has come is kept: reload the page, and it goes on from there.`,
  space: (file, free) => `There is no room for ${file.path} (${megabytes(file.size)}) in this browser's storage${free}. Free some, then reload the page.`,
  down: (file) => `The Hub that holds the models (${host(file)}) does not answer. Check your connection, or reload the page in a while.`,
  missing: (file, status) => `The Hub answers ${status} for ${file.path}: it is gone, or private. Tell whoever published this page.`,
  busy: (file) => `${file.path} is being downloaded in another tab. Let that finish, then reload this page.`,
};

const folder = () => navigator.storage.getDirectory();

/** The file in storage, or null where it is not there whole. */
export const stored = async (file) => {
  try {
    const found = await (await (await folder()).getFileHandle(`${file.sha256}.gguf`)).getFile();
    return found.size === file.size ? found : null;
  } catch { return null; }
};

/** The file, downloaded where it is not there yet; `onProgress` gets the bytes that are there. Raises Trouble. */
export const fetched = async (file, onProgress = () => {}) => {
  const have = await stored(file);
  if (have) return have;
  await checkRoom(file);
  await navigator.storage.persist?.();
  const worker = new Worker(new URL("fetcher.js", import.meta.url), { type: "module" });
  try {
    await new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Trouble("down", file));
      worker.onmessage = ({ data }) => {
        if (data.have !== undefined && !data.kind) onProgress(data.have);
        if (data.done) resolve();
        if (data.kind) reject(new Trouble(data.kind, file, data.kind === "cut" ? megabytes(data.have) : data.detail ?? ""));
      };
      worker.postMessage(file);
    });
  } finally { worker.terminate(); }
  return stored(file);
};

/** Raises Trouble where the browser says that it has no room for what is still to come. */
const checkRoom = async (file) => {
  const { quota, usage } = await navigator.storage.estimate();
  const part = await (await folder()).getFileHandle(`${file.sha256}.part`).then((one) => one.getFile(), () => ({ size: 0 }));
  const free = quota - usage;
  if (free < file.size - part.size) throw new Trouble("space", file, `: it has ${megabytes(free)} left`);
};

/** Deletes everything that this page keeps: the weights, whole and in part. */
export const removeAll = async () => {
  const root = await folder();
  for await (const name of root.keys()) if (/^[0-9a-f]{64}\.(gguf|part)$/.test(name)) await root.removeEntry(name);
};
