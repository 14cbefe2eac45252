// Elements of the page. Words go in as text, never as markup.

export const $ = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element: properties (`class`, `text`, others as they are; functions are listeners), then what it holds. */
export const make = (tag, given = {}, ...inside) => {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "text") one.textContent = value;
    else if (typeof value === "function") one.addEventListener(name, value);
    else if (value !== false && value !== null) one.setAttribute(name, value === true ? "" : value);
  }
  one.append(...inside);
  return one;
};

/** Says something in a line at the foot of the page, and to screen readers. */
export const tell = (words) => {
  $("#told").textContent = words;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { $("#told").textContent = ""; }, 6000);
};

/** Tells screen readers alone what stands on the page already. */
export const read = (words) => { $("#read").textContent = words; };

/** A turn of dialogue: the speaker's cue above the line. */
export const turn = (kind, cue, words = "") => {
  const content = make("p", { class: "message-content", text: words, dir: "auto" }), ended = make("p", { class: "ended" });
  const heading = make("p", { class: "cue", text: cue });
  return { element: make("article", { class: `turn ${kind}` }, heading, content, ended), heading, content, ended };
};

/** Examples: genres as chips, three lines of the chosen one as cards. */
export const cards = (place, examples, say) => {
  const show = (genre) => place.replaceChildren(chips, ...examples[genre].map((line) =>
    make("button", { class: "card", type: "button", text: line, click: () => say(line) })));
  const chips = make("fieldset", { class: "chips" }, make("legend", { class: "unseen", text: "Genre" }));
  const group = `genre-${place.parentElement.id}`;
  for (const genre of Object.keys(examples)) {
    const radio = make("input", { type: "radio", name: group, change: () => { show(genre); radio.focus(); } });
    radio.checked = chips.childElementCount === 1;
    chips.append(make("label", {}, radio, ` ${genre}`));
  }
  show(Object.keys(examples)[0]);
};

/** Tabs by WAI-ARIA's pattern: arrows move between them, one is in the order of Tab. */
export const tabs = (changed) => {
  const list = all("[role=tab]");
  const choose = (tab, focus) => {
    for (const one of list) {
      one.setAttribute("aria-selected", one === tab);
      one.tabIndex = one === tab ? 0 : -1;
      $(`#${one.getAttribute("aria-controls")}`).hidden = one !== tab;
    }
    if (focus) tab.focus();
    changed(tab.getAttribute("aria-controls"));
  };
  list.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) choose(list[(place + step + list.length) % list.length], true);
    });
  });
};
