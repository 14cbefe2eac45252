// The prompt, as chat.template builds it: ChatML, our system prompt, the latest messages up to the visitor's.

/** Messages for a model: `history` is {role, content}; whatever follows the visitor's latest message is left out. */
export const buildPrompt = (history, { system, contextTurns, scene = "" }) => {
  const turns = history.slice(0, history.findLastIndex((turn) => turn.role === "user") + 1);
  if (!turns.length) throw new Error("the visitor has said nothing");
  const setting = scene.split(/\s+/).filter(Boolean).join(" ");
  return [{ role: "system", content: setting ? `${system} The scene: ${setting}` : system }, ...turns.slice(-contextTurns)];
};

/** A prompt as text in which the control tokens have hidden names (gguf.js), so that the visitor's are characters alone. */
export const renderPrompt = (messages, { names, normalize }) => {
  const start = names.get("<|im_start|>"), stop = names.get("<|im_end|>");
  if (!start || !stop) throw new Error("the model has no <|im_start|> and <|im_end|>");
  const plain = (text) => {
    const read = text.toWellFormed ? text.toWellFormed() : text;
    for (const name of names.values()) if (read.includes(name)) throw new Error("that line holds a control token's hidden name");
    return normalize ? read.normalize(normalize) : read;
  };
  return messages.map(({ role, content }) => `${start}${plain(`${role}\n${content}`)}${stop}\n`).join("") + `${start}assistant\n`;
};
