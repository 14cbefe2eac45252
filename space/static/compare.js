// Compare: one line, a reply of every variant side by side without its name, and the names after a choice.
import { $, all, make, read, turn } from "./dom.js";
import { LABELS, note } from "./replies.js";

const LETTERS = ["A", "B", "C"];
const COUNTED = "repartee-picks";

/** The variants in an order that nobody knows. */
const shuffled = (variants) => {
  const order = [...variants];
  for (let n = order.length - 1; n > 0; n--) {
    const other = crypto.getRandomValues(new Uint32Array(1))[0] % (n + 1);
    [order[n], order[other]] = [order[other], order[n]];
  }
  return order;
};

export class Compare {
  constructor(settings) { this.settings = settings; }

  /** Answers a line with every variant; `answer(variant, history, onText)` gives a reply. */
  async ask(line, variants, answer) {
    const order = shuffled(variants);
    const columns = order.map((variant, place) => ({ variant, letter: LETTERS[place], ...turn("bot", LETTERS[place]) }));
    $("#compare .cards").hidden = true;
    $("#verdict").replaceChildren();
    $("#replies").setAttribute("aria-busy", "true");
    $("#replies").replaceChildren(...columns.map(({ element }) => make("div", { class: "variant block" }, element)));
    for (const column of columns) {
      column.ended.textContent = "Waits for its turn.";
      const reply = await answer(column.variant, [{ role: "user", content: line }], (text) => { column.content.textContent = text; });
      column.content.textContent = column.reply = reply.text.trim();
      column.ended.textContent = note(reply);
    }
    $("#replies").setAttribute("aria-busy", "false");
    read(columns.map(({ letter, reply }) => `${letter}: ${reply || "no word"}`).join(" \u2014 "));
    if (columns.length > 1) this.ballot(line, columns);
  }

  ballot(line, columns) {
    const done = (chosen) => this.reveal(line, columns, chosen);
    columns.forEach((column) => column.element.parentElement.append(
      make("button", { class: "best", type: "button", text: `${column.letter} is best`, click: () => done(column) })));
    $("#verdict").replaceChildren(make("button", { type: "button", id: "reveal", text: "Just show the names", click: () => done(null) }));
  }

  /** Shows the names; a choice is counted in this browser, and leaves it by the visitor's own hand alone. */
  reveal(line, columns, chosen) {
    all(".best").forEach((one) => one.remove());
    for (const column of columns) {
      column.heading.textContent = `${column.letter}: ${LABELS[column.variant]}`;
      column.element.classList.add("revealed");
    }
    const counts = JSON.parse(localStorage.getItem(COUNTED) ?? "{}");
    if (chosen) {
      counts[chosen.variant] = (counts[chosen.variant] ?? 0) + 1;
      localStorage.setItem(COUNTED, JSON.stringify(counts));
    }
    const said = chosen ? `You chose ${LABELS[chosen.variant]}. ` : "";
    const tally = columns.map(({ variant }) => `${LABELS[variant]} ${counts[variant] ?? 0}`).sort().join(", ");
    const words = make("p", { tabindex: "-1", text: `${said}Your choices so far, in this browser alone: ${tally}.` });
    $("#verdict").replaceChildren(words, ...(chosen && this.settings.votes ? [voteLink(this.settings, line, columns, chosen)] : []));
    words.focus();
  }
}

/** A link to a discussion on the votes dataset, filled in: nothing is sent before the visitor sends it there. */
const voteLink = ({ hub, votes, models }, line, columns, chosen) => {
  const address = new URL(`${hub}/datasets/${votes}/discussions/new`);
  const vote = {
    line, chosen: chosen.variant, replies: Object.fromEntries(columns.map(({ variant, reply }) => [variant, reply])),
    models: Object.fromEntries(models.map(({ variant, repo, revision }) => [variant, `${repo}@${revision}`])),
  };
  address.searchParams.set("title", "A vote from the page without a server");
  address.searchParams.set("description", "```json\n" + JSON.stringify(vote, null, 1) + "\n```");
  return make("a", { href: address.href, target: "_blank", rel: "noopener noreferrer", text: "Send this vote: opens a filled-in discussion on the Hub; sent when you send it there" });
};
