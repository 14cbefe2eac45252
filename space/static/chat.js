// Chat: a conversation of which each variant answers every line; one is shown at a time, and the next turn reads that one.
import { $, all, make, read, turn } from "./dom.js";
import { LABELS, note } from "./replies.js";

export class Chat {
  constructor() { this.exchanges = []; }

  get shown() { return $("#who input:checked")?.value; }

  /** The choice of whose answer is shown; the last one that there is, unless one is chosen. */
  offer(variants) {
    const before = this.shown, chosen = variants.includes(before) && this.touched ? before : variants.at(-1);
    const radio = (variant) => {
      const one = make("input", { type: "radio", name: "who", value: variant, change: () => { this.touched = true; this.show(); } });
      one.checked = variant === chosen;
      return make("label", {}, one, ` ${LABELS[variant]}`);
    };
    $("#who").replaceChildren($("#who legend"), ...variants.map(radio));
    this.show();
  }

  show() {
    for (const one of all("#conversation .bot")) one.hidden = one.dataset.variant !== (one.closest(".past")?.dataset.kept ?? this.shown);
  }

  /** What was said so far, with the reply of each line that was shown. */
  history() {
    return this.exchanges.flatMap(({ line, kept, replies }) => [
      { role: "user", content: line },
      ...(replies[kept] ? [{ role: "assistant", content: replies[kept] }] : []),
    ]);
  }

  /** Answers a line: the shown variant first, then the others. */
  async ask(line, variants, answer) {
    const first = this.shown, latest = this.exchanges.at(-1);
    if (latest) {
      latest.kept = first;
      latest.element.classList.add("past");
      latest.element.dataset.kept = first;
      if (!latest.replies[first]) this.exchanges.pop();
    }
    const said = turn("user", "You", line);
    const exchange = { line, kept: first, replies: {}, element: make("div", { class: "exchange" }, said.element) };
    this.exchanges.push(exchange);
    const prompt = this.history();
    $("#chat .cards").hidden = true;
    $("#conversation").append(exchange.element);
    const turns = Object.fromEntries(variants.map((variant) => {
      const one = turn("bot", LABELS[variant]);
      one.element.dataset.variant = variant;
      one.ended.textContent = "Waits for its turn.";
      exchange.element.append(one.element);
      return [variant, one];
    }));
    this.show();
    for (const variant of [first, ...variants.filter((one) => one !== first)]) {
      const { content, ended } = turns[variant];
      const reply = await answer(variant, prompt, (text) => { content.textContent = text; });
      content.textContent = exchange.replies[variant] = reply.text.trim();
      ended.textContent = note(reply);
      if (variant === this.shown) read(`${LABELS[variant]}: ${exchange.replies[variant] || "no word"}`);
    }
  }

  anew() {
    this.exchanges = [];
    $("#conversation").replaceChildren();
    $("#chat .cards").hidden = false;
    $("#line").focus();
  }
}
