// Sampling and scene: sliders with their numbers, the same bounds and defaults as on the page with a server.
import { $, make } from "./dom.js";

const MAX_SEED = 2 ** 31 - 1;
const HELP = {
  temperature: "0 always takes the likeliest token, 2 is wild.",
  top_k: "Choose among this many of the likeliest tokens.",
  top_p: "Choose among the likeliest tokens that make up this share of the probability.",
  seed: "A whole number makes an answer repeatable in this browser. Empty: drawn anew.",
  scene: "Where we are, and who speaks. It joins the system prompt; no model was trained with one.",
};
const SLIDERS = { temperature: ["Temperature", 0, 2, 0.05], top_k: ["Top-k", 1, 100, 1], top_p: ["Top-p", 0.05, 1, 0.05] };

export class Controls {
  constructor(defaults) {
    this.defaults = defaults;
    for (const [name, [label, min, max, step]] of Object.entries(SLIDERS)) {
      const number = make("output", { for: name, text: defaults[name] });
      const slider = make("input", { type: "range", id: name, min, max, step, "aria-describedby": `${name}-help`, input: () => { number.textContent = slider.value; } });
      slider.value = defaults[name];
      this.row(name, label, slider, number);
    }
    for (const [name, label, length] of [["seed", "Seed (optional)", 10], ["scene", "Scene (optional)", 300]])
      this.row(name, label, make("input", { type: "text", id: name, maxlength: length, autocomplete: "off", "aria-describedby": `${name}-help` }));
    $("#sampling").append(make("button", { type: "button", text: "Back to the defaults", click: () => this.reset() }));
  }

  row(name, label, ...inside) {
    const help = make("p", { class: "small", id: `${name}-help`, text: HELP[name] });
    $("#sampling").append(make("div", { class: "setting" }, make("label", { for: name, text: label }), ...inside, help));
  }

  reset() {
    for (const name of Object.keys(SLIDERS)) {
      $(`#${name}`).value = this.defaults[name];
      $(`output[for=${name}]`).textContent = this.defaults[name];
    }
    $("#seed").value = $("#scene").value = "";
  }

  /** The sampling as it is set; a seed is drawn where none is given. Raises Error with words for a seed that is none. */
  sampling() {
    const given = $("#seed").value.trim();
    if (given && !(/^\d+$/.test(given) && Number(given) <= MAX_SEED)) throw new Error(`A seed is a whole number up to ${MAX_SEED}.`);
    const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0] % MAX_SEED;
    const drawn = Object.fromEntries(Object.keys(SLIDERS).map((name) => [name, Number($(`#${name}`).value)]));
    return { ...drawn, max_new_tokens: this.defaults.max_new_tokens, seed };
  }

  get scene() { return $("#scene").value; }
}
