// Small helpers of the other scripts of the page: finding, telling, focusing, filling in.
const dom = (() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const body = () => document.body.dataset;

  /** Says something in a line at the foot of the page, and to screen readers. */
  const tell = (words) => {
    const told = $("#told");
    told.textContent = words;
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => { told.textContent = ""; }, 6000);
  };

  const focus = (selector) => setTimeout(() => $(selector)?.focus(), 150);
  const visible = (one) => one && one.offsetParent !== null;
  const typing = (one) => one?.matches?.("textarea, input:not([type=radio], [type=checkbox]), select");

  /** A value in a field of Gradio's, as if it had been typed. */
  const fill = (selector, words) => {
    const field = $(selector);
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const set = (one, attributes) => Object.entries(attributes).forEach(([name, value]) => one?.setAttribute(name, value));
  return { $, all, body, tell, focus, visible, typing, fill, set };
})();
