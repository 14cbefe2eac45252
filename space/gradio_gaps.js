// What Gradio leaves out: names of radios, live regions, names of what is scrolled.
const gradioGaps = (() => {
  const { $, all, set } = dom;

  /** Gradio gives every radio a name of its own, again after each change; in one group the arrow keys work. */
  const group = (fieldset) => {
    const [first, ...others] = all("input[type=radio]", fieldset);
    others.forEach((radio) => { radio.name = first.name; });
  };
  /** Again whenever a tab is drawn, for Gradio draws it when it is first looked at. */
  const mend = () => {
    all("fieldset").forEach(group);
    all("#latest, .variant.block, #standing").forEach((part) => set(part, { "aria-live": "polite" }));
    set($("#replies"), { role: "group", tabindex: "-1", "aria-label": "Replies" });
    set($("#conversation"), { role: "region", tabindex: "0", "aria-label": "Conversation" });
    all("#results .table-wrap, #results table, #about table").forEach((part) => set(part.parentElement, { tabindex: "0", role: "region", "aria-label": "Table" }));
  };
  return { group, mend };
})();
