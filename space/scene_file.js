// A scene out of a file: plain text, or a screenplay in Fountain. Its last line is to be answered, and what stands before
// it in the same scene is the scene. The file is read here, in the browser; nothing of it is sent before a line is.
const sceneFile = (() => {
  const MOST_BYTES = 65536, MOST_HEADING = 100;
  const HEADING = /^(\.(?!\.)|(int|ext|est|int\.?\/ext|i\/e)[. ])/i, TRANSITION = /^(>.*[^<]$|[^a-z]+ TO:$)/;
  const CUE = /^(@.+|[^\p{Ll}]*\p{Lu}[^\p{Ll}]*(\([^)]*\))?\s*\^?)$/u, ASIDE = /^\(.*\)$/, FOUNTAIN = /\.(fountain|spmd)$/i;

  /** Text of a file's bytes: UTF-8, or UTF-16 where it says so. Throws what a visitor is to read. */
  const decode = (bytes, name) => {
    const marks = (bytes[0] << 8) | bytes[1];
    const encoding = marks === 0xfffe ? "utf-16le" : marks === 0xfeff ? "utf-16be" : "utf-8";
    try {
      const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
      if (!/[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(text)) return text;
    } catch { /* said below */ }
    throw new Error(`${name} is not text. Drop a text or Fountain file (UTF-8).`);
  };

  /** Text without what stands between two marks; in a time that grows as the text does, whatever it holds. */
  const without = (text, open, close) => text.split(open).map((part, n) => {
    const end = part.indexOf(close);
    return n === 0 ? part : end < 0 ? open + part : part.slice(end + close.length);
  }).join("");

  /** Lines of a screenplay without what nobody sees or says: title page, notes, cut passages, sections, synopses. */
  const seen = (text) => without(without(text, "/*", "*/"), "[[", "]]")
    .replace(/^\s*((title|credit|authors?|source|draft date|contact|copyright|notes|revision):[^\n]*\n([ \t]+\S[^\n]*\n)*)+\n/i, "\n")
    .split("\n").map((line) => line.trim()).filter((line) => !/^(#|=)/.test(line));

  const plain = (words) => words.replace(/^[.!@~>]\s*|\s*[<^]$/g, "").replace(/(\*{1,3}|_)(\S[^*_]*?)\1/g, "$2")
    .replace(/\s+/g, " ").trim();

  /** What is shown and said, in order: `heading`, `action`, or `speech` with its `cue`; of plain text, its lines. */
  const elements = (text, name) => {
    const found = [], own = text.split("\n").map((line) => line.trim());
    if (!FOUNTAIN.test(name) && !own.some((line) => HEADING.test(line)))
      return own.filter(Boolean).map((words) => ({ kind: "action", words }));
    const lines = seen(text);
    for (let place = 0; place < lines.length; place += 1) {
      const line = lines[place], alone = !lines[place - 1], next = lines[place + 1];
      if (!line || TRANSITION.test(line)) continue;
      if (alone && HEADING.test(line)) found.push({ kind: "heading", words: plain(line) });
      else if (alone && next && CUE.test(line) && !line.startsWith("!")) {
        const said = [];
        while (lines[place + 1]) said.push(lines[place += 1]);
        found.push({ kind: "speech", cue: plain(line).replace(/\s*\(.*/, ""),
          words: plain(said.filter((one) => !ASIDE.test(one)).join(" ")) });
      } else found.push({ kind: "action", words: plain(line) });
    }
    return found.filter((one) => one.words);
  };

  /** Words that fit, from the end: the heading and what is nearest to the line. */
  const fitted = (heading, words) => {
    const whole = [heading, words].filter(Boolean).join(" ");
    if (whole.length <= LIMITS.scene) return whole;
    const start = heading && heading.length <= MOST_HEADING ? `${heading} \u2026 ` : "\u2026 ";
    return start + words.slice(start.length - LIMITS.scene).replace(/^\S*\s+/, "");
  };

  /** `{line, scene, cut}` of a text. In a screenplay the line is the last that is said, else the text's last one. */
  const parse = (text, name) => {
    const all = elements(text.replace(/\r\n?/g, "\n"), name), speeches = all.filter((one) => one.kind === "speech");
    const last = all.lastIndexOf(speeches.at(-1) ?? all.at(-1));
    if (last < 0) throw new Error(`${name} holds no line of dialogue.`);
    const { words: line } = all[last];
    if (line.length > LIMITS.line)
      throw new Error(`The last line of ${name} has ${line.length} characters; the models read at most ${LIMITS.line}.`);
    const from = all.slice(0, last).findLastIndex((one) => one.kind === "heading");
    const before = all.slice(from + 1, last).map((one) => (one.cue ? `${one.cue}: ${one.words}` : one.words)).join(" ");
    const heading = from < 0 ? "" : all[from].words, scene = fitted(heading, before);
    return { line, scene, cut: scene.length < `${heading} ${before}`.trim().length };
  };

  /** Reads a `File`. Throws an Error whose message is for the visitor, in one line. */
  const read = async (file) => {
    const name = file.name.length > 40 ? `${file.name.slice(0, 39)}\u2026` : file.name;
    if (file.size > MOST_BYTES)
      throw new Error(`${name} has ${Math.ceil(file.size / 1024)} KB; a scene is a text of at most ${MOST_BYTES / 1024} KB.`);
    let bytes;
    try { bytes = new Uint8Array(await file.arrayBuffer()); } catch { throw new Error(`${name} cannot be read.`); }
    return { name, ...parse(decode(bytes, name), name) };
  };
  return { read };
})();
