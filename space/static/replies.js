// What is said of a reply, and what each variant is called.

export const LABELS = { base: "Base", sft: "Fine-tuned", dpo: "DPO" };

/** How a reply ended, in a line. */
export const note = ({ ended, stopped, tokens, seconds, perSecond }) => {
  if (stopped) return "Stopped.";
  const size = `${tokens} token${tokens === 1 ? "" : "s"}`;
  const how = ended ? `Ended by itself after ${size}` : `Did not end by itself: cut at ${size}`;
  const speed = perSecond ? ` (${perSecond.toFixed(1)} tokens a second)` : ""; // of a single token there is none
  return `${how}, in ${seconds.toFixed(1)} s${speed}.`;
};
